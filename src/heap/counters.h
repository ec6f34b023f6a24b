/*
 * Heap counters: what every allocation and release adds to its thread's sums in the recording. The hot path
 * of every malloc: inlined into the interposed functions, a few additions to memory that only this thread
 * writes.
 *
 *   allocation ──▶ sums of the thread ──▶ live above the watch? ──▶ marks ──▶ drifted by 64 KiB?
 *                          │                                                    ──▶ process's sum, peak
 *                          └─▶ alloc_bytes beyond heap_next? ──▶ looked at closely (track.h)
 *
 * The process's live bytes and their peak are exact for one thread, and within threads x 64 KiB otherwise: a
 * thread folds its own sum into the process's when they have drifted that far apart.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/thread.h"
#include "heap/track.h"
#include "recording/format.h"

#define RF_HEAP_FOLD_BYTES (64 << 10)

/* From the first allocation on everything is counted, at first in memory of the library's own; from here on
 * in the recording. On the starting thread. counting: false forgets it. */
void rf_heap_start(bool counting);
/* At the end: what could be counted on no thread goes into this one's sums. */
void rf_heap_settle(void);
/* Live bytes of the process, what it inherited included. Cost: a few loads a thread. */
int64_t rf_heap_live_bytes(void);
/* Around a fork: what is live in the parent is the child's from its start, stated as inherited. before: in
 * the parent; a child of a raw clone goes by what threads had told. inherit: in the child, once it has its
 * recording. */
void rf_heap_before_fork(void);
void rf_heap_inherit(void);

/* The thread to count on where rf_heap_thread finds none prepared; NULL: nothing is counted. */
struct rf_thread *rf_heap_new_thread(void);
/* A thread's live bytes rose above its watch: moves the marks, folds where they drifted. Cost: 3 ns, 20 when
 * folding. */
void rf_heap_rise(struct rf_thread *thread);
/* Folds a thread's live bytes into the process's. Cost: two atomic operations, once every 64 KiB of drift. */
void rf_heap_fold(struct rf_thread *thread);

/* Before a thread exists to count on (the loader's calls, a thread whose state could not be made). */
void rf_heap_count_early(int64_t calls, size_t requested, size_t usable);

extern bool rf_heap_off __attribute__((visibility("hidden"))); /* nothing is counted, now or later */

/* The thread to count on; NULL when nothing is counted. In a forked child the state is wiped, so that it
 * finds nothing here. */
static inline struct rf_thread *rf_heap_thread(void) {
  struct rf_thread *thread = rf_tls.self;
  if (__builtin_expect(thread && thread->heap, 1)) return thread;
  return rf_heap_off ? NULL : rf_heap_new_thread();
}

static inline unsigned rf_heap_class(size_t bytes) {
  unsigned k = bytes <= 1 ? 0 : 64u - (unsigned)__builtin_clzll(bytes - 1);
  return k < RF_HEAP_CLASSES ? k : RF_HEAP_CLASSES - 1;
}

static inline void rf_heap_count_alloc(struct rf_thread *thread, void *block, size_t requested,
                                       size_t usable) {
  struct rf_heap_counters *heap = thread->heap;
  rf_local_add(&heap->alloc_calls, 1);
  rf_local_add(&heap->requested_bytes, requested);
  rf_local_add(&heap->size_class[rf_heap_class(requested)], 1);
  rf_local_add(&heap->alloc_bytes, usable);
  uint64_t allocated = heap->alloc_bytes;
  if (__builtin_expect(allocated > thread->heap_next, 0)) rf_track_alloc(thread, block, requested, usable);
  int64_t live = (int64_t)(allocated - heap->free_bytes);
  if (__builtin_expect(live > thread->heap_watch, 0)) rf_heap_rise(thread);
}

static inline void rf_heap_count_free(struct rf_thread *thread, size_t usable) {
  struct rf_heap_counters *heap = thread->heap;
  rf_local_add(&heap->free_calls, 1);
  rf_local_add(&heap->free_bytes, usable);
  int64_t live = (int64_t)(heap->alloc_bytes - heap->free_bytes);
  if (__builtin_expect(live < thread->heap_floor, 0)) rf_heap_fold(thread);
}
