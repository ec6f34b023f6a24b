/*
 * A call among the first instructions: it must return to the original code, so that unwinding from inside finds the caller.
 * trace: calls_first, calls_second
 * expect: r.counted_or_skipped("calls_first", 100)
 * expect: r.counted_or_skipped("calls_second", 100)
 */
#include "case.h"

__asm__(".text\n.p2align 4\n.globl calls_first, calls_second\n"
        ".type calls_first, @function\n calls_first: .cfi_startproc\n sub $8, %rsp\n .cfi_adjust_cfa_offset 8\n call helper\n"
        "add $8, %rsp\n .cfi_adjust_cfa_offset -8\n inc %eax\n ret\n .cfi_endproc\n.size calls_first, .-calls_first\n.p2align 4\n"
        ".type calls_second, @function\n calls_second: .cfi_startproc\n push %rbx\n .cfi_adjust_cfa_offset 8\n"
        "call *target(%rip)\n pop %rbx\n .cfi_adjust_cfa_offset -8\n inc %eax\n ret\n .cfi_endproc\n.size calls_second, .-calls_second\n");
int calls_first(int), calls_second(int);

static void *seen;
__attribute__((used, noinline)) int helper(int x) {
  seen = __builtin_return_address(0);
  return 2 * x;
}
__attribute__((used)) int (*target)(int) = helper;

int main(void) {
  for (int i = 0; i < 100; i++) {
    REQUIRE(calls_first(i) == 2 * i + 1);
    REQUIRE((char *)seen > (char *)calls_first && (char *)seen < (char *)calls_first + 32);
    REQUIRE(calls_second(i) == 2 * i + 1);
  }
}
