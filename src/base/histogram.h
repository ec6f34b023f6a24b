/*
 * Index arithmetic of the log-linear histogram (HdrHistogram's scheme with 32 sub-buckets): the writer counts
 * with it, the reader turns buckets back into durations. Values below 32 are exact; octave k >= 1 holds
 * [2^(k+4), 2^(k+5)) in 32 equal buckets, so that a bucket's middle is within 1/64 of every value in it.
 */
#pragma once

#include <stdint.h>

#define RF_SUBBUCKET_BITS 5
#define RF_SUBBUCKETS (1u << RF_SUBBUCKET_BITS)
#define RF_OCTAVES 44 /* up to 2^48 cycles: a day at 3 GHz; longer ones count in the last bucket */

struct rf_bucket {
  uint32_t octave, index;
};

/* The bucket that counts value. Values of 2^48 and more fall into the last bucket. Cost: about 2 ns. */
static inline struct rf_bucket rf_bucket_of(uint64_t value) {
  if (value < RF_SUBBUCKETS) return (struct rf_bucket){0, (uint32_t)value};
  uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - RF_SUBBUCKET_BITS;
  if (shift + 1 >= RF_OCTAVES) return (struct rf_bucket){RF_OCTAVES - 1, RF_SUBBUCKETS - 1};
  return (struct rf_bucket){shift + 1, (uint32_t)(value >> shift) - RF_SUBBUCKETS};
}

/* Lowest value that falls into a bucket. */
static inline uint64_t rf_bucket_lower(struct rf_bucket b) {
  return b.octave == 0 ? b.index : (uint64_t)(RF_SUBBUCKETS + b.index) << (b.octave - 1);
}

/* First value above a bucket. */
static inline uint64_t rf_bucket_upper(struct rf_bucket b) {
  return b.octave == 0 ? b.index + 1u : (uint64_t)(RF_SUBBUCKETS + b.index + 1u) << (b.octave - 1);
}
