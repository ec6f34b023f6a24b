/*
 * Parts of a function that lie elsewhere and are entered by jumps, with the function's frame on the stack: BOLT's .warm ones by their
 * names, others by their frame information. They are no functions, and the function that they belong to is timed.
 * flags: -O2
 * flags: -O2 -no-pie -fno-pie
 * trace: whole*, some_part
 * option: timing.budget=off
 * skipped: some_part not entered by a call
 * calls: whole 90
 * expect: not any("warm" in f["name"] for f in r.functions)
 */
#include "case.h"
#include "packed.h"

/* clang-format off */
__asm__(".text\n.p2align 4\n"
  FUNCTION("whole")
  "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n sub $16, %rsp\n.cfi_def_cfa_offset 32\n"
  "mov %edi, %ebx\n mov %edi, 8(%rsp)\n cmp $1, %esi\n je some_part\n ja whole.warm\n"
  "back: lea 1(%rbx), %eax\n add $16, %rsp\n.cfi_def_cfa_offset 16\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n" END("whole")
  ".section elsewhere,\"ax\"\n.p2align 4\n"
  FUNCTION("some_part") ".cfi_def_cfa_offset 32\n.cfi_offset rbx, -16\n mov 8(%rsp), %eax\n lea 10(%rax), %ebx\n jmp back\n" END("some_part")
  ".p2align 4\n"
  FUNCTION("whole.warm") ".cfi_def_cfa_offset 32\n.cfi_offset rbx, -16\n mov 8(%rsp), %eax\n lea 20(%rax), %ebx\n jmp back\n" END("whole.warm")
  ".text\n");
/* clang-format on */

int whole(int x, int which);

int main(void) {
  for (int i = 0; i < 30; i++) REQUIRE(whole(i, 0) == i + 1 && whole(i, 1) == i + 11 && whole(i, 2) == i + 21);
}
