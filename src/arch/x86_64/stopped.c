/* See stopped.h. */
#include "arch/x86_64/stopped.h"

#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "arch/x86_64/syscall.h"

#define RED_ZONE 128
#define LOWEST ((uintptr_t)1 << 16) /* what the kernel lets nobody map by default */
#define HIGHEST ((uintptr_t)1 << 47)
#define VECTOR_BYTES 4096 /* AVX-512 needs 2.7 KB; tiles, behind it, hold no addresses */

static size_t take_words(uintptr_t *to, const void *from, size_t bytes) {
  const uintptr_t *word = from;
  size_t kept = 0;
  for (size_t i = 0; i < bytes / sizeof *word; i++)
    if (word[i] >= LOWEST && word[i] < HIGHEST) to[kept++] = word[i];
  return kept;
}

_Static_assert((sizeof(struct user_regs_struct) + VECTOR_BYTES) / sizeof(uintptr_t) <= RF_STOPPED_WORDS,
               "one thread's registers");

size_t rf_stopped_registers(int thread, uintptr_t *words, uintptr_t *stack) {
  struct user_regs_struct general;
  uint64_t vectors[VECTOR_BYTES / 8];
  struct iovec room = {vectors, sizeof vectors};
  if (rf_syscall(SYS_ptrace, PTRACE_GETREGS, thread, 0, &general) != 0) return 0;
  *stack = general.rsp - RED_ZONE;
  size_t kept = take_words(words, &general, sizeof general);
  if (rf_syscall(SYS_ptrace, PTRACE_GETREGSET, thread, NT_X86_XSTATE, &room) == 0)
    kept += take_words(words + kept, vectors, room.iov_len);
  return kept;
}

static bool answers_every_stop(uint64_t call) {
  static const short calls[] = {SYS_epoll_wait,   SYS_epoll_pwait,         441 /* epoll_pwait2 */,
                                SYS_semop,        SYS_semtimedop,          SYS_rt_sigtimedwait,
                                SYS_io_getevents, 333 /* io_pgetevents */, 426 /* io_uring_enter */};
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    if (call == (uint64_t)calls[i]) return true;
  return false;
}

/* The instruction has two bytes. */
void rf_stopped_begin_call_again(int thread) {
  struct user_regs_struct registers;
  if (rf_syscall(SYS_ptrace, PTRACE_GETREGS, thread, 0, &registers) != 0) return;
  if ((int64_t)registers.rax != -EINTR || !answers_every_stop(registers.orig_rax)) return;
  registers.rax = registers.orig_rax;
  registers.rip -= 2;
  registers.orig_rax = ~0ull;
  rf_syscall(SYS_ptrace, PTRACE_SETREGS, thread, 0, &registers);
}
