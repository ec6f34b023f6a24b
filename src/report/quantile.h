/*
 * Quantiles of merged log-linear histograms.
 *
 * A bucket of base/histogram.h is at most 1/32 of its lower end wide, so its middle is within 1/64 of every
 * value in it. The quantile is the middle of the bucket that holds the value of that rank (nearest rank: the
 * smallest value that at least q of all values don't exceed). Interpolating inside a bucket would look
 * smoother but be off by up to 1/32 where values cluster at one end; the middle keeps 1/64 whatever the
 * distribution. The same holds for the union of histograms whose clocks tick differently: each value is off
 * by at most 1/64, hence so is each order statistic.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rf_duration_bucket {
  double middle_s, upper_s;
  double weight;  /* calls that it stands for: count, over the share of calls that were timed */
  uint64_t count; /* timed calls in it */
};

/* buckets sorted by middle_s; q in 0..1. NaN when they are empty. */
double rf_quantile(const struct rf_duration_bucket *bucket, size_t buckets, double q);

/*
 * Merges two sorted lists into target (room for a + b); buckets whose ends agree within 1/1024 (clocks
 * calibrated twice) become one. Returns the new length.
 */
size_t rf_buckets_merge(struct rf_duration_bucket *target, const struct rf_duration_bucket *a, size_t a_count,
                        const struct rf_duration_bucket *b, size_t b_count);
