/* Keeping signal handlers away from a section: raw system calls, so that libc's own signals are blocked too.
 */
#pragma once

#include <signal.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/quiet.h"

#define RF_SIGNALS_UNTOUCHED UINT64_MAX

/* Blocks every signal on this thread and answers what to give back. Behind a system call filter nothing is
 * blocked. Cost: a system call. */
static inline uint64_t rf_signals_block(void) {
  uint64_t all = ~0ull, before = 0;
  if (rf_quiet()) return RF_SIGNALS_UNTOUCHED;
  rf_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  return before;
}

static inline void rf_signals_restore(uint64_t before) {
  if (before == RF_SIGNALS_UNTOUCHED) return; /* or all were blocked before, and still are */
  rf_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
}
