/* Finding a timed call's timed callers by walking its stack, for calls that are thinned by timing.budget. */
#pragma once

#include <stdint.h>

#include "base/thread.h"

#define RF_WALK_PORTION 128 /* times the cost of a walk */

struct rf_record;

struct rf_walk_order {
  uint64_t duration, portions;
  uintptr_t rbp; /* the caller's */
};

/* One portion of time, in cycles. */
static inline uint64_t rf_walk_portion(const struct rf_thread *thread) {
  return RF_WALK_PORTION * (thread->walk_cost ? thread->walk_cost : 4096);
}

/*
 * A walk costs 100 times a probe, so only some are made: each gives out one portion of time, and which call is walked for is as good as
 * drawn with a chance in proportion to its time (systematic sampling with a random start). Long calls are always walked for.
 * So a function's self time T is right within about sqrt(T x portion), and walks cost 1/128 of what is measured.
 */
/* Whether a stack is to be walked for amount of time, and for how many portions. Cost: about 1 ns. */
static inline uint64_t rf_walk_portions(struct rf_thread *thread, uint64_t amount) {
  thread->until_walk -= (int64_t)amount;
  if (__builtin_expect(thread->until_walk > 0, 1)) return 0;
  uint64_t portion = rf_walk_portion(thread), portions = (uint64_t)-thread->until_walk / portion + 1;
  thread->until_walk += (int64_t)(portions * portion);
  return portions;
}

/*
 * At the exit of a timed call: takes portions of time off the nearest timed caller's sum; where the function is among its own callers,
 * takes as much off its outermost calls' sum. On an own stack. Cost: 1 to 20 us, which goes on the thread's budget.
 */
void rf_callers_walk(struct rf_record *record, struct rf_walk_order *order);
