/*
 * Heap counters: what every allocation and release adds to its thread's sums in the recording. The hot path of every malloc:
 * inlined into the interposed functions, a few additions to memory that only this thread writes.
 *
 * The process's live bytes and their peak are kept exact for one thread, and within threads x 64 KiB otherwise: a thread folds its own sum
 * into the process's when they have drifted that far apart.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"
#include "recording/format.h"

#define RF_HEAP_FOLD_BYTES (64 << 10)

extern bool rf_heap_counting __attribute__((visibility("hidden")));

/* Folds a thread's live bytes into the process's. Cost: two atomic operations, once every 64 KiB of drift. */
void rf_heap_fold(struct rf_thread *thread);
void rf_heap_start(bool counting);
/* In a forked child: what the parent held is inherited. */
void rf_heap_inherit(int64_t live_bytes, int64_t live_blocks);

static inline unsigned rf_heap_class(size_t bytes) {
  unsigned k = bytes <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(bytes - 1);
  return k < RF_HEAP_CLASSES ? k : RF_HEAP_CLASSES - 1;
}

static inline void rf_heap_drift(struct rf_thread *thread, int64_t change) {
  struct rf_thread_entry *entry = thread->entry;
  int64_t unfolded = entry->heap_unfolded_bytes + change;
  entry->heap_unfolded_bytes = unfolded;
  if (unfolded > entry->heap_unfolded_max) entry->heap_unfolded_max = unfolded;
  thread->heap_live += change;
  if (thread->heap_live > thread->heap_high) thread->heap_high = thread->heap_live;
  if (__builtin_expect(unfolded > RF_HEAP_FOLD_BYTES || unfolded < -RF_HEAP_FOLD_BYTES, 0)) rf_heap_fold(thread);
}

static inline void rf_heap_count_alloc(struct rf_thread *thread, size_t requested, size_t usable) {
  struct rf_heap_counters *heap = &thread->entry->heap;
  heap->alloc_calls++;
  heap->requested_bytes += requested;
  heap->alloc_bytes += usable;
  heap->size_class[rf_heap_class(requested)]++;
  rf_heap_drift(thread, (int64_t)usable);
}

static inline void rf_heap_count_free(struct rf_thread *thread, size_t usable) {
  struct rf_heap_counters *heap = &thread->entry->heap;
  heap->free_calls++;
  heap->free_bytes += usable;
  rf_heap_drift(thread, -(int64_t)usable);
}
