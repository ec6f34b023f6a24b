/*
 * A tally: durations merged over threads, in the unit of their clock, from which statistics are made. Of
 * slots that their threads are writing meanwhile a consistent copy is taken; one tally taken from another
 * leaves what happened in between.
 */
#pragma once

#include <stdint.h>

#include "api/api.h"
#include "recording/format.h"

struct rf_tally_sums {
  uint64_t ended, timed; /* calls that have ended; those that were timed */
  uint64_t weights, weight_squares, inner_weights, endless_weights;
  unsigned __int128 sum, sum_outer, squares;
  uint64_t min, max; /* UINT64_MAX and 0: told by the buckets */
};
struct rf_tally {
  struct rf_tally_sums sums;
  uint64_t bucket[RF_OCTAVES * RF_SUBBUCKETS];
};

/* What is kept of one: the buckets that are not empty. */
struct rf_packed_tally;

/* How durations become seconds: seconds a unit, and the units that measuring added to each. */
struct rf_tally_scale {
  double unit_s, inside;
};

void rf_tally_clear(struct rf_tally *tally);
/* scratch: room for one more tally. waiting: announced calls that have not come yet. Any thread. */
void rf_tally_add_slot(struct rf_tally *tally, const struct rf_slot *slot, uint64_t waiting,
                       struct rf_tally *scratch);
void rf_tally_add(struct rf_tally *tally, uint64_t duration);
void rf_tally_merge(struct rf_tally *to, const struct rf_tally *from);
/* To be freed with rf_free; NULL without memory. */
struct rf_packed_tally *rf_tally_pack(const struct rf_tally *tally);
/* Takes off what was there before; minimum and maximum are told by the buckets then. */
void rf_tally_subtract(struct rf_tally *tally, const struct rf_packed_tally *before);
void rf_tally_stats(const struct rf_tally *tally, struct rf_tally_scale scale,
                    struct refunc_timing_stats *stats);
