/*
 * timing.budget: the share of a thread's time that timing may cost. Each thread aims at a least interval
 * between two timed calls of one function: functions that are called less often are timed always, the others
 * at about that interval, at random, whatever their number of calls (water filling). The interval follows the
 * share that the thread's probes really take.
 *
 * A function may have a budget of its own. Then its probes are no part of timing.budget: they have an
 * interval for themselves on each thread (in its slot), which follows the share of the thread's time that
 * they alone take.
 *
 *   exit of a timed call ─▶ calls come faster than the interval? ─▶ weight = interval / time between calls
 *                             ─▶ gap drawn at random, mean weight - 1 ─▶ countdown = gap
 *   every 2^21 cycles: interval ×= share / budget
 *
 * A gap is drawn before the calls it skips, and is geometric, so a call's being timed says nothing of its
 * duration or of the calls around it. The calls that a recursive function makes of itself while one of its
 * calls is timed are thinned like others: its entry draws the next gap. General registers only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/entry.h"
#include "base/thread.h"
#include "recording/format.h"

#define RF_PACE_ONE 65536u /* a share of 1 */

/* share: timing.budget in 1/RF_PACE_ONE; 0: none. own_share: the highest one of single functions; 0: none has
 * one. probe_cost: cycles of one timed call. Before functions are selected. */
void rf_pace_start(uint32_t share, uint32_t own_share, uint64_t probe_cost);
/* Whether there is a budget of either kind, so that there are countdowns. */
int rf_pace_active(void);
/* Whether a function with that share of its own (0: none) is thinned, and gets a counting stub. */
bool rf_pace_thins(uint32_t own_share);
/* A slot's next flags; own_share becomes the slot's. */
void rf_pace_begin(struct rf_slot *slot, uint32_t own_share);

extern uint64_t rf_pace_base_interval, rf_pace_probe_cost;
/* Probes that a call costs whose end takes the slow path; an unwinder that passes the entry takes as much. */
#define RF_PACE_RARE 28
#define RF_PACE_WINDOW (1ull << 21) /* cycles between looks at the share */

/* 32 random bits (xorshift64*), independent of anything the app does. */
static inline uint64_t rf_pace_draw(struct rf_thread *thread) {
  uint64_t x = thread->random ? thread->random : 88172645463325252ull;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  thread->random = x;
  return (x * 2685821657736338717ull) >> 32;
}

/* Draws a gap for a function whose calls come too fast; weight: of the call that ends. */
RF_PRESERVE_ALL void rf_pace_thin(struct rf_thread *thread, struct rf_slot *slot, uint64_t now,
                                  uint64_t weight);
/* At the entry of a timed call of that weight, of a recursive function: draws the gap for calls in it. */
RF_PRESERVE_ALL void rf_pace_nested(struct rf_slot *slot, uint64_t weight);
/*
 * Ends the gaps of functions that were called often when these were drawn, and have become seldom: without
 * it, as many calls as there were in a microsecond would pass for minutes. At ticks of the sampler, on
 * the thread itself. Whether a gap ends depends on what was only, so it does not bias anything. id: of the
 * function whose call asks. It came without being drawn, so it stands for itself. count: of functions. Cost:
 * 1 us, and 5 to 30 ns for each function that is thinned.
 */
void rf_pace_look(struct rf_thread *thread, uint32_t id, uint32_t count, uint64_t now);
/* Where the gap was drawn after the stub let a call pass to the entry: counts the call in that gap, as the
 * stub would have. False: it is to be timed. */
bool rf_pace_skips(const struct rf_thread *thread, const struct rf_slot *slot);
/* Sets the thread's interval by what its probes took in the window that ends now. */
RF_PRESERVE_ALL void rf_pace_adjust(struct rf_thread *thread, uint64_t now);

/*
 * A duration in cycles as it may count weight times. A rare long call (a preempted one, say) that is timed by
 * chance would stand for weight as long ones, though the thread had no time for them. So it counts as what
 * its own gap leaves room for, and earlier gaps that were as long, where no long call was seen: over time all
 * long calls find their room, and the sum stays unbiased as far as it is possible. Not for recursive
 * functions, whose calls contain each other. Before rf_pace(). Cost: 1 ns.
 */
RF_PRESERVE_ALL uint64_t rf_pace_plausible(struct rf_slot *slot, uint64_t now, uint64_t duration,
                                           uint64_t weight);

/* Puts cycles that timing the slot's function has taken (NULL: nobody knows whose) on the budget that they
 * count to.
 */
static inline void rf_pace_spend(struct rf_thread *thread, struct rf_slot *slot, uint64_t cycles) {
  *(slot && slot->next & RF_RECORD_OWN ? &slot->own_cost : &thread->window_cost) += cycles;
}

/* After a timed call of a paced function; flags: its record's. Cost: about 1 ns where calls come slowly. */
static inline void rf_pace(struct rf_thread *thread, struct rf_slot *slot, uint64_t now, uint32_t flags) {
  thread->window_cost += rf_pace_probe_cost;
  /* Signed, since a call that ends another one's record on its way has read the clock before that one. */
  if (__builtin_expect((int64_t)(now - thread->window_start) > (int64_t)RF_PACE_WINDOW, 0))
    rf_pace_adjust(thread, now);
  uint64_t apart = now - slot->last_exit;
  /* RF_RECORD_OWN is the bit below the weight's: such functions take the other path, and this one costs the
   * same. */
  _Static_assert(RF_RECORD_OWN == 1 << (RF_RECORD_WEIGHT_SHIFT - 1), "it is tested with the weight");
  if (__builtin_expect(
          apart >= thread->least_interval && (flags | slot->next) >> (RF_RECORD_WEIGHT_SHIFT - 1) == 0, 1))
    slot->last_exit = now;
  else
    rf_pace_thin(thread, slot, now, flags >> RF_RECORD_WEIGHT_SHIFT);
}
