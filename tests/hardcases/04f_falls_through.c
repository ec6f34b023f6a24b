/*
 * Functions that go on into the padding behind them and through it into the next one, as memcpy_chk does into memcpy: that padding is code,
 * and holds neither a landing nor a part of a jump.
 * flags: -O2
 * flags: -O2 -no-pie -fno-pie
 * trace: checked, falls, behind_checked, behind_falls, tiny_*
 * option: timing.budget=off
 * skipped: falls shorter than the 5 bytes of a jump
 * skipped: tiny_without shorter than the 5 bytes of a jump
 * calls: checked 40
 * calls: behind_checked 80
 * calls: behind_falls 80
 * calls: tiny_with 40
 */
#include "case.h"
#include "packed.h"

/* clang-format off */
__asm__(".text\n.p2align 5\n" FILLER("wall_first")
  FUNCTION("checked") "cmp $100, %edi\n ja 1f\n lea 1(%rdi), %edi\n" END("checked") ".p2align 5\n .fill 9, 1, 0x90\n"
  FUNCTION("behind_checked") "lea 3(%rdi), %eax\n nop\n nop\n ret\n 1: xor %eax, %eax\n ret\n" END("behind_checked")
  FUNCTION("falls") "lea 1(%rdi), %edi\n" END("falls") ".p2align 5\n .fill 9, 1, 0x90\n"
  FUNCTION("behind_falls") "lea 4(%rdi), %eax\n nop\n nop\n ret\n" END("behind_falls")
  FUNCTION("tiny_without") "mov %edi, %eax\n ret\n" END("tiny_without")
  FILLER("wall_middle") FILLER("wall_second")
  /* ... but behind a call that does not return there is room. */
  FUNCTION("ends_in_call") "sub $8, %rsp\n call abort@PLT\n" END("ends_in_call") ".p2align 5\n .fill 9, 1, 0x90\n"
  FUNCTION("tiny_with") "mov %edi, %eax\n ret\n" END("tiny_with")
  FILLER("wall_last"));
/* clang-format on */

int checked(int), falls(int), behind_checked(int), behind_falls(int), tiny_without(int), tiny_with(int);

int main(void) {
  for (int i = 0; i < 40; i++) {
    REQUIRE(checked(i) == i + 4 && behind_checked(i) == i + 3 && falls(i) == i + 5 &&
            behind_falls(i) == i + 4);
    REQUIRE(tiny_without(i) == i && tiny_with(i) == i);
  }
}
