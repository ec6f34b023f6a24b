/*
 * What is looked at closely: in exact mode every allocation, in sampled mode one in so many bytes, in
 * counters mode none. A block that was looked at has its site and its birth in the table of live blocks
 * (blocks.h), and its thread's part of the site counts it (sites.h).
 *
 *   alloc ─▶ stack ─▶ site ─▶ part += ...  ─▶ block's word stored
 *   free  ─▶ block's word taken (before the real free: another thread may get the address at once) ─▶ part -= ...
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"

enum rf_track_mode { RF_TRACK_NONE, RF_TRACK_SAMPLED, RF_TRACK_EXACT };

struct rf_track_plan {
  enum rf_track_mode mode;
  uint64_t sample_bytes; /* mean of the sampling interval */
  uint64_t sample_seed;  /* 0: drawn */
  uint32_t stack_depth;
};

extern enum rf_track_mode rf_track_mode __attribute__((visibility("hidden")));

/* Before anything is counted in the recording. False: without memory, nothing will be tracked. Not
 * signal-safe. */
bool rf_track_start(const struct rf_track_plan *plan);
/* In a forked child with a new recording: the parent's blocks are unknown here, its sites begin anew. */
void rf_track_restart(void);
/* A thread that begins to count: the alloc_bytes beyond which an allocation of its is looked at. */
uint64_t rf_track_thread(struct rf_thread *thread);
/* A dead thread's state goes to another one. */
void rf_track_taken_over(struct rf_thread *thread);

/* An allocation that brought alloc_bytes beyond heap_next. errno is kept; signal-safe. Cost: as DESIGN says.
 */
void rf_track_alloc(struct rf_thread *thread, void *block, size_t requested, size_t usable);

/* Takes a block out of the table: gives the word that rf_track_free or rf_track_put_back want; 0: it was not
 * tracked. */
uint64_t rf_track_take(void *block);
/* The same for realloc: until rf_track_moved (once the block is back, or its successor tracked) no leak check
 * believes that it is gone. */
uint64_t rf_track_take_to_move(struct rf_thread *thread, void *block);
static inline void rf_track_moved(struct rf_thread *thread) {
  __atomic_store_n(&thread->heap_moving, 0, __ATOMIC_RELEASE);
}
void rf_track_put_back(void *block, uint64_t word);
void rf_track_free(struct rf_thread *thread, const void *block, uint64_t word, size_t usable);

/* What one tracked live block of so many bytes stands for: calls in the units of its site, and bytes. */
void rf_track_stands_for(size_t usable, uint64_t *calls, uint64_t *bytes);
/* Whether the table has every live block: exact mode, nothing was dropped, and nothing was inherited in a
 * fork. */
bool rf_track_knows_all(void);

extern uint8_t *rf_track_filter __attribute__((visibility("hidden")));

#define RF_FILTER_BITS 16

static inline size_t rf_track_slot(const void *block) {
  return ((uintptr_t)block >> 4) * 0x9e3779b97f4a7c15u >> (64 - RF_FILTER_BITS);
}

/* Whether block may be tracked. Exact mode has no filter. Cost: in sampled mode a load, nearly always of a
 * zero. */
static inline bool rf_track_maybe(const void *block) {
  if (__builtin_expect(rf_track_mode == RF_TRACK_NONE, 1)) return false;
  return !rf_track_filter || rf_track_filter[rf_track_slot(block)];
}
