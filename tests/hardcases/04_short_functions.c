/*
 * Functions shorter than a jump: with padding behind them they can be timed, packed together they are skipped with a reason.
 * trace: padded, packed_a, packed_b, follows
 * expect: r.counted_or_skipped("padded", 100)
 * expect: r.counted_or_skipped("packed_a", 100)
 * expect: r.counted_or_skipped("packed_b", 100)
 * calls: follows 100
 */
#include "case.h"

__asm__(".text\n.p2align 4\n.globl padded, packed_a, packed_b, follows\n"
        ".type padded, @function\n padded: mov %edi, %eax\n ret\n .size padded, .-padded\n.p2align 4\n"
        ".type packed_a, @function\n packed_a: mov %edi, %eax\n ret\n .size packed_a, .-packed_a\n"
        ".type packed_b, @function\n packed_b: xor %eax, %eax\n ret\n .size packed_b, .-packed_b\n"
        ".type follows, @function\n follows: lea 5(%rdi), %eax\n add $1, %eax\n sub $1, %eax\n ret\n .size follows, .-follows\n");
int padded(int), packed_a(int), packed_b(int), follows(int);

int main(void) {
  for (int i = 0; i < 100; i++) REQUIRE(padded(i) == i && packed_a(i) == i && packed_b(i) == 0 && follows(i) == i + 5);
}
