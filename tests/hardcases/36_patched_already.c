/*
 * A function that another tool has already diverted with a jump.
 * trace: diverted
 * expect: r.counted_or_skipped("diverted", 100)
 */
#include "case.h"

__asm__(".text\n.p2align 4\n.globl diverted\n.type diverted, @function\ndiverted: .byte 0xe9\n .long elsewhere - . - 4\n nop\n nop\n ret\n"
        ".size diverted, .-diverted\n.fill 2000, 1, 0xcc\nelsewhere: lea 9(%rdi), %eax\n ret\n");
int diverted(int);

int main(void) {
  for (int i = 0; i < 100; i++) REQUIRE(diverted(i) == i + 9);
}
