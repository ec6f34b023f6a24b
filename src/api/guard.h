/*
 * A lock that a forked child finds free, although the thread that held it is not there. Signals are blocked
 * while it is held, so that handlers may take it, too. Only while there is a recording.
 */
#pragma once

#include "base/lock.h"
#include "base/signals.h"
#include "recording/writer.h"

struct rf_guard {
  struct rf_lock lock;
  uint32_t pid; /* of the process in which it was last taken; UINT32_MAX: it is being freed */
};

static inline void rf_guard_free_in_child(struct rf_guard *guard, uint32_t pid) {
  for (;;) {
    uint32_t was = __atomic_load_n(&guard->pid, __ATOMIC_ACQUIRE);
    if (was == pid) return;
    if (was == UINT32_MAX || !__atomic_compare_exchange_n(&guard->pid, &was, UINT32_MAX, false,
                                                          __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      continue;
    __atomic_store_n(&guard->lock.word, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&guard->pid, pid, __ATOMIC_RELEASE);
  }
}

/* Answers what give needs. */
static inline uint64_t rf_guard_take(struct rf_guard *guard) {
  uint64_t mask = rf_signals_block();
  rf_guard_free_in_child(guard, rf_recording_header()->pid);
  rf_lock_take(&guard->lock);
  return mask;
}

static inline void rf_guard_give(struct rf_guard *guard, uint64_t mask) {
  rf_lock_give(&guard->lock);
  rf_signals_restore(mask);
}
