/*
 * What the ends of calls have in common: call.c, for those that return; dead.c, for the others; enter.c, for
 * tail calls on other stacks. Not for anybody else. General registers only, signals as they come.
 */
#pragma once

#include "arch/entry.h"
#include "base/thread.h"
#include "recording/format.h"
#include "trace/account.h"
#include "trace/edges.h"
#include "trace/pace.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

static inline uint64_t rf_call_duration(const struct rf_record *record, uint64_t now) {
  return now > record->start ? now - record->start : 0;
}

/* Of a call that stands for others, too. cycles: now; 0: on other clocks the gap between calls says nothing.
 */
static inline uint64_t rf_call_plausible(struct rf_slot *slot, uint32_t flags, uint64_t cycles,
                                         uint64_t duration) {
  uint64_t weight = rf_weight(flags);
  return LIKELY(weight == 1 || !cycles) ? duration : rf_pace_plausible(slot, cycles, duration, weight);
}

/* While every call is timed, the caller is the record below's function. */
static inline void rf_call_note_edge(const struct rf_thread *thread, struct rf_record *record,
                                     uint64_t duration) {
  if (rf_edges_on && !thread->thinning) rf_edge_add(record, rf_edge_caller(record), duration);
}

/* Makes the call that lies in one that was merely counted an inner one: the depth knows timed ones only. */
static inline void rf_call_note_inner(struct rf_slot *slot, uint64_t weight, uint64_t plausible) {
  if (slot->depth != 0) return;
  slot->sum_outer -= weight * plausible;
  slot->inner_weights += weight;
  slot->next |= RF_RECORD_RECURSIVE;
}

/* Flags and weight of the call that begins: the weight is this one call's. As in the assembly's way in. */
static inline uint32_t rf_call_take_next(struct rf_slot *slot) {
  uint32_t next = slot->next, weight = next >> RF_RECORD_WEIGHT_SHIFT;
  if (LIKELY(!weight)) return next;
  slot->next = next & ((1u << RF_RECORD_WEIGHT_SHIFT) - 1);
  if (next & RF_RECORD_RECURSIVE) rf_pace_nested(slot, weight);
  return next;
}

/* Where slot has no counters for an octave of durations yet. */
void rf_slot_make_octave(struct rf_slot *slot, uint32_t octave);
/* A duration with all that may be missing for it. On an own stack, signals blocked. */
void rf_slot_add_fully(struct rf_slot *slot, uint64_t duration, uint64_t plausible, uint64_t child,
                       uint64_t weight);

/* enter.c: the thread's slot of a function, made if need be; NULL without memory. On an own stack. */
struct rf_slot *rf_calls_slot_of(struct rf_thread *thread, uint32_t id);

/* dead.c. A record of another thread, or of another stack, whose call is over. */
void rf_call_close(struct rf_record *record);
/* Frees the running thread's pile down to record, which stays. */
void rf_calls_close_above(struct rf_record *record);
/* Records whose frames are gone, as a call shows by running at or above their positions. */
void rf_calls_close_passed(uintptr_t position);
