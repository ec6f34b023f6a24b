/* See tracee.h. */
#include "arch/x86_64/tracee.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#ifndef NT_X86_SHSTK
#define NT_X86_SHSTK 0x204
#endif
#define RED_ZONE 128
#define DIRECTION_AND_TRAP 0x500ull

struct rf_tracee {
  struct user_regs_struct general;
  uint64_t signals, shadow_stack;
  bool has_shadow_stack;
  size_t vector_bytes;
  uint8_t vectors[16384];
};

static bool get_set(int request, pid_t thread, uintptr_t set, void *bytes, size_t *count) {
  struct iovec room = {bytes, *count};
  if (ptrace(request, thread, (void *)set, &room) != 0) return false;
  *count = room.iov_len;
  return true;
}

struct rf_tracee *rf_tracee_keep(pid_t thread) {
  struct rf_tracee *kept = calloc(1, sizeof *kept);
  if (!kept) return NULL;
  size_t shadow = sizeof kept->shadow_stack;
  kept->vector_bytes = sizeof kept->vectors;
  kept->has_shadow_stack = get_set(PTRACE_GETREGSET, thread, NT_X86_SHSTK, &kept->shadow_stack, &shadow);
  bool complete = ptrace(PTRACE_GETREGS, thread, NULL, &kept->general) == 0 &&
                  get_set(PTRACE_GETREGSET, thread, NT_X86_XSTATE, kept->vectors, &kept->vector_bytes) &&
                  ptrace(PTRACE_GETSIGMASK, thread, (void *)sizeof kept->signals, &kept->signals) == 0;
  if (complete) return kept;
  free(kept);
  return NULL;
}

bool rf_tracee_give_back(pid_t thread, struct rf_tracee *kept) {
  size_t shadow = sizeof kept->shadow_stack;
  bool done = get_set(PTRACE_SETREGSET, thread, NT_X86_XSTATE, kept->vectors, &kept->vector_bytes);
  if (kept->has_shadow_stack) get_set(PTRACE_SETREGSET, thread, NT_X86_SHSTK, &kept->shadow_stack, &shadow);
  done &= ptrace(PTRACE_SETREGS, thread, NULL, &kept->general) == 0;
  done &= ptrace(PTRACE_SETSIGMASK, thread, (void *)sizeof kept->signals, &kept->signals) == 0;
  free(kept);
  return done;
}

/* orig_rax of -1 says that no system call is to be gone on with. */
bool rf_tracee_run(pid_t thread, const struct rf_tracee *kept, uintptr_t function, uintptr_t stack,
                   uintptr_t argument) {
  struct user_regs_struct registers = kept->general;
  uint64_t all = ~0ull;
  registers.rip = function;
  registers.rdi = argument;
  registers.rsp = (stack & ~(uintptr_t)15) - 8; /* as behind a call */
  registers.rbp = 0;
  registers.eflags &= ~DIRECTION_AND_TRAP;
  registers.orig_rax = ~0ull;
  return ptrace(PTRACE_SETSIGMASK, thread, (void *)sizeof all, &all) == 0 &&
         ptrace(PTRACE_SETREGS, thread, NULL, &registers) == 0;
}

uintptr_t rf_tracee_place(pid_t thread) {
  struct user_regs_struct registers;
  return ptrace(PTRACE_GETREGS, thread, NULL, &registers) == 0 ? registers.rip : 0;
}

bool rf_tracee_move(pid_t thread, uintptr_t place) {
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, thread, NULL, &registers) != 0) return false;
  registers.rip = place;
  return ptrace(PTRACE_SETREGS, thread, NULL, &registers) == 0;
}

uintptr_t rf_tracee_stack(pid_t thread) {
  struct user_regs_struct registers;
  return ptrace(PTRACE_GETREGS, thread, NULL, &registers) == 0 ? registers.rsp - RED_ZONE : 0;
}
