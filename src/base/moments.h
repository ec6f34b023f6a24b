/*
 * Deviation from integer sums, without cancellation. With q the whole part of the mean and r what is left of
 * the sum
 *
 *   sum = q n + r      squares - q (sum + r) = Σ (d - q)²      less r² / n: Σ (d - mean)²
 *
 * The first two are whole numbers, exact modulo 2^128; only the last step rounds. So a day of calls of equal
 * length has the deviation 0, which the textbook's squares - sum² / n in floating point has not.
 */
#pragma once

#include <stdint.h>

/* Of n durations (with their weights). Sums of a slot that was being written may contradict each other: then
 * 0. */
static inline long double rf_squared_deviations(uint64_t n, unsigned __int128 sum,
                                                unsigned __int128 squares) {
  if (!n) return 0;
  unsigned __int128 whole = sum / n, rest = sum % n;
  __int128 around = (__int128)(squares - whole * (sum + rest));
  long double deviations = (long double)around - (long double)rest * (long double)rest / (long double)n;
  return deviations > 0 ? deviations : 0;
}
