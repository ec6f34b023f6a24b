/*
 * A personality routine that finds its own frame by _Unwind_GetCFA, as LuaJIT's does: it must get the stack
 * pointer that the frame had at its call, of a timed function or not.
 * flags: -O2 -fexceptions -lgcc_s
 * flags: -O2 -fexceptions -no-pie -fno-pie -lgcc_s
 * trace: throws, throws_deeper, passes
 * option: timing.budget=off
 * calls: throws 60
 * calls: throws_deeper 30
 * calls: passes 30
 */
#include <stdint.h>
#include <unwind.h>

#include "case.h"

/* clang-format off */
__asm__(".text\n.globl catches\n.type catches, @function\n"
        "catches: .cfi_startproc\n.cfi_personality 0x1b, finds_itself\n"
        "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n mov %rsp, position(%rip)\n call *%rdi\n xor %eax, %eax\n"
        "caught: pop %rbx\n.cfi_def_cfa_offset 8\n ret\n.cfi_endproc\n.size catches, .-catches\n");
/* clang-format on */

extern int catches(void (*function)(void));
extern char caught[];
__attribute__((used)) uintptr_t position;
static int found, handled;
static struct _Unwind_Exception exception;

__attribute__((used)) _Unwind_Reason_Code finds_itself(int version, _Unwind_Action actions, uint64_t kind,
                                                       struct _Unwind_Exception *thrown,
                                                       struct _Unwind_Context *context) {
  REQUIRE(version == 1 && kind == 7 && thrown == &exception);
  REQUIRE(_Unwind_GetCFA(context) == position);
  if (actions & _UA_SEARCH_PHASE) return found++, _URC_HANDLER_FOUND;
  REQUIRE(actions & _UA_HANDLER_FRAME);
  handled++;
  _Unwind_SetGR(context, 0, 5);
  _Unwind_SetIP(context, (uintptr_t)caught);
  return _URC_INSTALL_CONTEXT;
}

TRACED void throws(void) {
  exception.exception_class = 7;
  _Unwind_RaiseException(&exception);
  REQUIRE(0);
}
TRACED void passes(void) {
  throws();
  LONG;
}
TRACED void throws_deeper(void) {
  passes();
  LONG;
}
__attribute__((noinline, noclone)) void plain(void) {
  exception.exception_class = 7;
  _Unwind_RaiseException(&exception);
  REQUIRE(0);
}

int main(void) {
  for (int i = 0; i < 30; i++) {
    void (*each[])(void) = {throws, plain, throws_deeper};
    for (int k = 0; k < 3; k++) REQUIRE(catches(each[k]) == 5);
  }
  REQUIRE(found == 90 && handled == 90);
}
