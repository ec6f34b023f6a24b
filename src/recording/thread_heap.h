/*
 * A thread's live bytes and the marks over them, for the heap's counters and for whoever measures a stretch
 * of a thread's run.
 *
 *   live          alloc_bytes - free_bytes of its entry: what this thread allocated less what it freed, of whomever
 *   entry high    highest live since the thread last told the process's sum (heap_folded)
 *   thread high   highest live since the innermost stretch that is being measured began
 *   watch         the lower of the two: one comparison an allocation tells that neither moves
 */
#pragma once

#include <stdint.h>

#include "base/thread.h"
#include "recording/format.h"

static inline int64_t rf_thread_live(const struct rf_thread *thread) {
  return (int64_t)(thread->entry->heap.alloc_bytes - thread->entry->heap.free_bytes);
}

static inline void rf_thread_watch(struct rf_thread *thread) {
  int64_t folding = thread->entry->heap_high, stretch = thread->heap_high;
  thread->heap_watch = folding < stretch ? folding : stretch;
}

/* A stretch begins: gives the mark of the one around it, to be handed back. Signal-safe. */
static inline int64_t rf_thread_stretch_begin(struct rf_thread *thread) {
  int64_t outer = thread->heap_high;
  thread->heap_high = rf_thread_live(thread);
  rf_thread_watch(thread);
  return outer;
}

/* It ends: gives the highest live inside it. */
static inline int64_t rf_thread_stretch_end(struct rf_thread *thread, int64_t outer) {
  int64_t highest = thread->heap_high;
  if (outer > highest) thread->heap_high = outer;
  rf_thread_watch(thread);
  return highest;
}
