/*
 * Conditional branches with 8-bit displacements in the window, and loop and jrcxz, which have no longer form.
 * trace: conditional, with_loop, with_jrcxz
 * expect: r.counted_or_skipped("conditional", 100)
 * expect: r.counted_or_skipped("with_loop", 100)
 * expect: r.counted_or_skipped("with_jrcxz", 100)
 */
#include "case.h"

__asm__(".text\n.p2align 4\n.globl conditional, with_loop, with_jrcxz\n"
        ".type conditional, @function\n conditional: test %edi, %edi\n je 1f\n lea 1(%rdi), %eax\n ret\n 1: mov $77, %eax\n ret\n"
        ".size conditional, .-conditional\n.p2align 4\n"
        ".type with_loop, @function\n with_loop: loop 2f\n nop\n nop\n nop\n mov $1, %eax\n ret\n 2: mov $2, %eax\n ret\n"
        ".size with_loop, .-with_loop\n.p2align 4\n"
        ".type with_jrcxz, @function\n with_jrcxz: jrcxz 3f\n nop\n nop\n nop\n mov $1, %eax\n ret\n 3: mov $2, %eax\n ret\n"
        ".size with_jrcxz, .-with_jrcxz\n");
int conditional(int), with_loop(int, int, int, long), with_jrcxz(int, int, int, long);

int main(void) {
  for (int i = 0; i < 100; i++) {
    REQUIRE(conditional(i % 5) == (i % 5 ? i % 5 + 1 : 77));
    REQUIRE(with_loop(0, 0, 0, 1 + i % 2) == (i % 2 ? 2 : 1));
    REQUIRE(with_jrcxz(0, 0, 0, i % 3) == (i % 3 ? 1 : 2));
  }
}
