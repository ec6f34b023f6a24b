/*
 * A branch into a function's first bytes from far away: from its own far end, and from another function.
 * trace: far_loop, shared_tail
 * expect: r.counted_or_skipped("far_loop", 50)
 * expect: r.counted_or_skipped("shared_tail", 50) or r.calls("shared_tail") >= 50
 */
#include "case.h"

__asm__(".text\n.globl far_loop, shared_tail, jumps_in\n"
        ".type far_loop, @function\n"
        "far_loop: xor %eax, %eax\n"
        "1: inc %eax\n"
        ".fill 600, 1, 0x90\n"
        "dec %edi\n jnz 1b\n ret\n.size far_loop, .-far_loop\n"
        ".type shared_tail, @function\n"
        "shared_tail: mov %edi, %eax\n"
        "2: shl $1, %eax\n nop\n nop\n ret\n.size shared_tail, .-shared_tail\n"
        ".fill 300, 1, 0xcc\n"
        ".type jumps_in, @function\n"
        "jumps_in: lea 7(%rdi), %eax\n jmp 2b\n.size jumps_in, .-jumps_in\n");
int far_loop(int n), shared_tail(int n), jumps_in(int n);

int main(void) {
  for (int i = 1; i <= 50; i++) {
    REQUIRE(far_loop(i) == i);
    REQUIRE(shared_tail(i) == 2 * i);
    REQUIRE(jumps_in(i) == 2 * (i + 7));
  }
}
