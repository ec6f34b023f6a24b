/* Asks the kernel whether memory can be read, without a handler for faults. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"

enum { RF_PAGE = 4096 };

/*
 * Whether the page that holds address can be read. rt_sigprocmask copies the new mask before it refuses an
 * unknown operation: -EFAULT says that it could not, -EINVAL that it could, and nothing changes. System call
 * filters of programs with a libc allow it; where one refuses, memory counts as unreadable. Signal-safe.
 * Cost: about 100 ns.
 */
static inline bool rf_page_readable(uintptr_t address) {
  return rf_syscall(SYS_rt_sigprocmask, ~0l, address & ~(uintptr_t)7, 0, 8) == -22 /* EINVAL */;
}

/* The same for [start, start + bytes). */
static inline bool rf_range_readable(uintptr_t start, uintptr_t bytes) {
  if (start + bytes < start) return false;
  for (uintptr_t page = start & ~(uintptr_t)(RF_PAGE - 1); page < start + bytes; page += RF_PAGE)
    if (!rf_page_readable(page)) return false;
  return true;
}

/* Whether pc can be a return address: the bytes before it can be read and end in a call. */
static inline bool rf_returns_to(uintptr_t pc) {
  uintptr_t in_page = pc % RF_PAGE, bytes = in_page < RF_CALL_BYTES ? in_page : RF_CALL_BYTES;
  if (pc < RF_PAGE || (bytes && !rf_page_readable(pc - 1))) return false;
  if (bytes < RF_CALL_BYTES && rf_page_readable(pc - bytes - 1)) bytes = RF_CALL_BYTES;
  return rf_follows_call((const uint8_t *)pc, bytes);
}
