/*
 * Functions whose first bytes lie on two cache lines and on two pages.
 * trace: on_two_lines, on_two_pages
 * calls: on_two_lines 100
 * calls: on_two_pages 100
 */
#include "case.h"

__asm__(".section two_pages, \"ax\"\n.p2align 12\n.fill 61, 1, 0xcc\n.globl on_two_lines, on_two_pages\n"
        ".type on_two_lines, @function\non_two_lines: lea 1(%rdi), %eax\n add $1, %eax\n add $1, %eax\n ret\n.size on_two_lines, .-on_two_lines\n"
        ".p2align 12\n.fill 4094, 1, 0xcc\n"
        ".type on_two_pages, @function\non_two_pages: lea 2(%rdi), %eax\n add $1, %eax\n add $1, %eax\n ret\n.size on_two_pages, .-on_two_pages\n"
        ".text\n");
int on_two_lines(int), on_two_pages(int);

int main(void) {
  for (int i = 0; i < 100; i++) REQUIRE(on_two_lines(i) == i + 3 && on_two_pages(i) == i + 4);
}
