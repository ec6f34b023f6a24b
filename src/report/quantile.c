/* See quantile.h. */
#include "report/quantile.h"

#include <math.h>
#include <stdbool.h>

double rf_quantile(const struct rf_duration_bucket *bucket, size_t buckets, double q) {
  double total = 0, seen = 0, last = NAN;
  for (size_t i = 0; i < buckets; i++) total += bucket[i].weight;
  double rank = q * total * (1 - 1e-12); /* 0.95 * 100 is a little over 95 in binary */
  for (size_t i = 0; i < buckets; i++) {
    if (!(bucket[i].weight > 0)) continue;
    seen += bucket[i].weight;
    last = bucket[i].middle_s;
    if (seen >= rank) return last;
  }
  return last;
}

static bool same_bucket(const struct rf_duration_bucket *a, const struct rf_duration_bucket *b) {
  return fabs(a->upper_s - b->upper_s) <= a->upper_s / 1024 &&
         fabs(a->middle_s - b->middle_s) <= a->middle_s / 1024;
}

static size_t append(struct rf_duration_bucket *target, size_t count, const struct rf_duration_bucket *next) {
  if (count && same_bucket(&target[count - 1], next)) {
    target[count - 1].weight += next->weight;
    target[count - 1].count += next->count;
    return count;
  }
  target[count] = *next;
  return count + 1;
}

size_t rf_buckets_merge(struct rf_duration_bucket *target, const struct rf_duration_bucket *a, size_t a_count,
                        const struct rf_duration_bucket *b, size_t b_count) {
  size_t count = 0, i = 0, j = 0;
  while (i < a_count || j < b_count) {
    bool from_a = j == b_count || (i < a_count && a[i].middle_s <= b[j].middle_s);
    count = append(target, count, from_a ? &a[i++] : &b[j++]);
  }
  return count;
}
