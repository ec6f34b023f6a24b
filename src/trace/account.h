/*
 * Adding one duration to a slot. Lives in the header so that rf_exit has it inline; general registers only.
 * A slot belongs to one thread at a time, so nothing here is atomic beyond what one instruction is: a signal
 * handler that runs in between adds its own calls correctly, at worst a new minimum or maximum of its own is
 * lost.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/entry.h"
#include "base/histogram.h"
#include "recording/format.h"

/* Start of the recording in this process; refs count from here. */
extern char *rf_trace_base __attribute__((visibility("hidden")));

/* The histogram's counter for a bucket, or NULL where its octave does not exist yet. */
static inline uint64_t *rf_slot_counter(const struct rf_slot *slot, struct rf_bucket bucket) {
  rf_ref octave = slot->octave[bucket.octave];
  return octave ? (uint64_t *)(rf_trace_base + octave) + bucket.index : NULL;
}

/* Whether there is a counter for duration. */
static inline bool rf_slot_counts(const struct rf_slot *slot, uint64_t duration) {
  return slot->octave[rf_bucket_of(duration).octave] != 0;
}

/*
 * Counts a duration at the end of the next one. Its counter's address hangs on the clock that was just read,
 * and as long as the processor does not know where a store goes, it holds back what follows: that was 4 ns of
 * a call's 23. By the next one it has long been known. An exchange, since signal handlers count in between.
 */
static inline void rf_slot_count(struct rf_slot *slot, struct rf_bucket bucket, uint64_t weight) {
  uint64_t number = bucket.octave * RF_SUBBUCKETS + bucket.index + 1;
  uint64_t last = __atomic_exchange_n(&slot->uncounted, weight << 32 | number, __ATOMIC_RELAXED);
  if (!last) return;
  uint32_t place = (uint32_t)last - 1;
  uint64_t *counter = rf_slot_counter(slot, (struct rf_bucket){place / RF_SUBBUCKETS, place % RF_SUBBUCKETS});
  if (counter) *counter += last >> 32;
}

/* What a probe costs, in cycles. */
struct rf_probe_cycles {
  uint64_t inside, outside, counting; /* counting: of a merely counted call */
};
extern struct rf_probe_cycles rf_probe_cycles __attribute__((visibility("hidden")));

/* What weight calls, of which one was timed, took of their callers' time. */
static inline uint64_t rf_callers_time(uint64_t duration, uint64_t weight) {
  uint64_t body = duration > rf_probe_cycles.inside ? duration - rf_probe_cycles.inside : 0;
  return weight * body + rf_probe_cycles.inside + rf_probe_cycles.outside +
         (weight - 1) * rf_probe_cycles.counting;
}

/* A call's weight, from its record's flags. */
static inline uint64_t rf_weight(uint32_t flags) {
  uint32_t weight = flags >> 8;
  return weight ? weight : 1;
}

/* plausible: the duration as far as it may count weight times (rf_pace_plausible). There may be no counter
 * when the recording is full: the rest is counted all the same. */
static inline void rf_slot_add(struct rf_slot *slot, uint64_t duration, uint64_t plausible, uint64_t child,
                               uint64_t weight) {
  slot->durations++;
  slot->weights += weight;
  slot->weight_squares += weight * weight;
  uint64_t sum = slot->sum + weight * plausible;
  slot->sum_high += sum < slot->sum; /* without a branch, which cost a nanosecond */
  slot->sum = sum;
  slot->sum_self += weight * (plausible > child ? plausible - child : 0);
  if (--slot->depth == 0) {
    slot->sum_outer += weight * plausible;
  } else {
    slot->inner_weights += weight;
    slot->next |= RF_RECORD_RECURSIVE;
  }
  unsigned __int128 square = (unsigned __int128)plausible * plausible * weight;
  uint64_t low = slot->square_low + (uint64_t)square;
  slot->square_high += (uint64_t)(square >> 64) + (low < slot->square_low);
  slot->square_low = low;
  if (duration < slot->min) slot->min = duration;
  if (duration > slot->max) slot->max = duration;
  if (__builtin_expect(rf_slot_counts(slot, duration), 1))
    rf_slot_count(slot, rf_bucket_of(duration), weight);
}
