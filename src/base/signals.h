/* Keeping signal handlers away from a section: raw system calls, so that libc's own signals are blocked too. */
#pragma once

#include <signal.h>
#include <stdint.h>

#include "arch/arch.h"

/* Blocks every signal on this thread and answers what to give back. Cost: a system call. */
static inline uint64_t rf_signals_block(void) {
  uint64_t all = ~0ull, before = 0;
  rf_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  return before;
}

static inline void rf_signals_restore(uint64_t before) {
  rf_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
}
