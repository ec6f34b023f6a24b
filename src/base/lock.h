/* A futex lock for rare paths: no libc, signal-safe as long as its holder blocks signals or never takes it in
 * a handler. */
#pragma once

#include <errno.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"

struct rf_lock {
  uint32_t word;
}; /* 0 free, 1 held, 2 held and waited for */

static inline bool rf_lock_try(struct rf_lock *lock) {
  uint32_t expected = 0;
  return __atomic_compare_exchange_n(&lock->word, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static inline void rf_lock_take(struct rf_lock *lock) {
  if (rf_lock_try(lock)) return;
  while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0)
    rf_syscall(SYS_futex, &lock->word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, 0);
}

static inline void rf_lock_give(struct rf_lock *lock) {
  if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2)
    rf_syscall(SYS_futex, &lock->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}
