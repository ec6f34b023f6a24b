/* Finding a timed call's timed callers by walking its stack, for calls that are thinned by timing.budget. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"
#include "trace/pace.h"

#define RF_WALK_PORTION 128 /* times the cost of a walk */

struct rf_record;

struct rf_walk_order {
  uint64_t duration, amount, /* of its callers' time that is the call's, and of those it stands for */
      given;                 /* what the walk gives out, which stands for calls not walked for, too */
  uintptr_t rbp;             /* the caller's */
  bool credited;             /* the nearest timed caller has its share: only recursion is looked for */
};

/*
 * A walk costs 100 times a probe, so only some are made: a call that took less than a portion of time is
 * walked for with a chance in proportion to its time, drawn each time anew, and then stands for a whole
 * portion; longer ones are always walked for. So a function's self time T is right within about sqrt(T x
 * portion). Walks cost 1/128 of what is measured, and a quarter of the budget at most.
 *
 * Answers the time that a walk is to give out; 0: none is made. Cost: about 2 ns.
 */
static inline uint64_t rf_walk_time(struct rf_thread *thread, uint64_t amount) {
  uint64_t portion = RF_WALK_PORTION * (thread->walk_cost ? thread->walk_cost : 4096) << thread->walk_scale;
  if (__builtin_expect(amount >= portion, 0)) return amount;
  unsigned __int128 drawn =
      (unsigned __int128)rf_pace_draw(thread) * portion; /* portions may be of minutes */
  return (uint64_t)(drawn >> 32) < amount ? portion : 0;
}

/*
 * At the exit of a timed call: takes the given time off the nearest timed caller's sum; where the function is
 * among its own callers, takes as much off its outermost calls' sum. On an own stack. Cost: 1 to 20 us, which
 * goes on the thread's budget.
 */
void rf_callers_walk(struct rf_record *record, struct rf_walk_order *order);
