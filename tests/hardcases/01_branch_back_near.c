/*
 * A short branch from inside a function back into its first bytes.
 * trace: into_window, to_second
 * expect: r.counted_or_skipped("into_window", 100)
 * expect: r.counted_or_skipped("to_second", 100)
 */
#include "case.h"

__asm__(".text\n.globl into_window, to_second\n"
        ".type into_window, @function\n"
        "into_window: xor %eax, %eax\n" /* 2 bytes */
        "1: add $2, %eax\n"             /* the loop's head, 2 bytes in */
        "dec %edi\n jnz 1b\n ret\n.size into_window, .-into_window\n"
        ".type to_second, @function\n"
        "to_second: push %rbx\n"
        "2: lea 3(%rdi), %ebx\n inc %edi\n cmp $10, %edi\n jl 2b\n mov %ebx, %eax\n pop %rbx\n ret\n"
        ".size to_second, .-to_second\n");
int into_window(int n), to_second(int n);

int main(void) {
  for (int i = 1; i <= 100; i++) REQUIRE(into_window(i) == 2 * i);
  for (int i = 0; i < 100; i++) REQUIRE(to_second(i) == (i < 10 ? 12 : i + 3));
}
