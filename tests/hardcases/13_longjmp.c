/*
 * longjmp, siglongjmp and the checked longjmp across many traced frames, again and again.
 * flags: -O2
 * flags: -O2 -D_FORTIFY_SOURCE=2
 * flags: -O0
 * trace: jumper, deeper, outer
 * option: timing.budget=off
 * calls: outer 300
 * unwound: outer 0
 * calls: deeper 6300
 * unwound: deeper 6300
 * calls: jumper 300
 * unwound: jumper 300
 */
#include <setjmp.h>
#include <signal.h>

#include "case.h"

static jmp_buf plain;
static sigjmp_buf with_mask;

TRACED void jumper(int how) {
  if (how == 0) longjmp(plain, 1);
  if (how == 1) siglongjmp(with_mask, 1);
  _longjmp(plain, 1);
}
TRACED int deeper(int depth, int how) {
  if (depth) {
    int below = deeper(depth - 1, how);
    __asm__ volatile("" : "+r"(below));
    return below + 1;
  }
  jumper(how);
  __asm__ volatile("nop; nop; nop; nop; nop");
  return 0;
}
TRACED int outer(int how) {
  volatile int before = 17;
  int jumped = how == 1 ? sigsetjmp(with_mask, 1) : how == 2 ? _setjmp(plain) : setjmp(plain);
  if (!jumped) deeper(20, how);
  return before + 1;
}

int main(void) {
  for (int i = 0; i < 300; i++) REQUIRE(outer(i % 3) == 18);
}
