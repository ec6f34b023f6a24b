/*
 * See tally.h. A slot is written by its thread without locks: a call adds to durations first and to its
 * bucket last, so a copy in which the buckets add up to the weights, taken while durations stood still, holds
 * whole calls only. A slot that is never still is taken as it is in the end: the calls that came while it was
 * read are nothing beside those that it holds.
 */
#include "api/tally.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/moments.h"
#include "recording/writer.h"

#define TRIES 16
#define BUCKETS (RF_OCTAVES * RF_SUBBUCKETS)

struct rf_packed_tally {
  struct rf_tally_sums sums;
  uint32_t count;
  struct {
    uint32_t index;
    uint64_t calls;
  } bucket[];
};

void rf_tally_clear(struct rf_tally *tally) {
  memset(tally, 0, sizeof *tally);
  tally->sums.min = UINT64_MAX;
}

/* ---- copying ---- */

static uint64_t read_now(const uint64_t *counter) { return __atomic_load_n(counter, __ATOMIC_ACQUIRE); }

static uint64_t copy_buckets(struct rf_tally *copy, const struct rf_slot *slot) {
  uint64_t sum = 0;
  for (uint32_t o = 0; o < RF_OCTAVES; o++) {
    const uint64_t *counters = rf_recording_at(__atomic_load_n(&slot->octave[o], __ATOMIC_ACQUIRE));
    for (uint32_t i = 0; i < RF_SUBBUCKETS; i++)
      sum += copy->bucket[o * RF_SUBBUCKETS + i] = counters ? read_now(&counters[i]) : 0;
  }
  struct rf_uncounted last = rf_slot_uncounted(slot);
  copy->bucket[last.bucket.octave * RF_SUBBUCKETS + last.bucket.index] += last.weight;
  return sum + last.weight;
}

static uint64_t above(uint64_t more, uint64_t less) { return more > less ? more - less : 0; }

/* Whether it is consistent. */
static bool copy_once(struct rf_tally *copy, const struct rf_slot *slot, uint64_t waiting) {
  copy->sums.timed = read_now(&slot->durations);
  copy->sums.ended = above(read_now(&slot->entered) + above(read_now(&slot->counted), waiting), slot->depth);
  copy->sums.weights = read_now(&slot->weights);
  copy->sums.weight_squares = read_now(&slot->weight_squares);
  copy->sums.inner_weights = read_now(&slot->inner_weights);
  copy->sums.endless_weights = read_now(&slot->endless_weights);
  copy->sums.sum = (unsigned __int128)read_now(&slot->sum_high) << 64 | read_now(&slot->sum);
  int64_t outer = (int64_t)read_now(&slot->sum_outer);
  copy->sums.sum_outer = outer > 0 ? (uint64_t)outer : 0;
  copy->sums.squares = (unsigned __int128)read_now(&slot->square_high) << 64 | read_now(&slot->square_low);
  copy->sums.min = read_now(&slot->min);
  copy->sums.max = read_now(&slot->max);
  uint64_t sum = copy_buckets(copy, slot);
  return sum == copy->sums.weights && read_now(&slot->durations) == copy->sums.timed;
}

static void add_sums(struct rf_tally_sums *to, const struct rf_tally_sums *from) {
  to->ended += from->ended;
  to->timed += from->timed;
  to->weights += from->weights;
  to->weight_squares += from->weight_squares;
  to->inner_weights += from->inner_weights;
  to->endless_weights += from->endless_weights;
  to->sum += from->sum;
  to->sum_outer += from->sum_outer;
  to->squares += from->squares;
  if (from->min < to->min) to->min = from->min;
  if (from->max > to->max) to->max = from->max;
}

void rf_tally_merge(struct rf_tally *to, const struct rf_tally *from) {
  add_sums(&to->sums, &from->sums);
  for (uint32_t i = 0; i < BUCKETS; i++) to->bucket[i] += from->bucket[i];
}

void rf_tally_add_slot(struct rf_tally *tally, const struct rf_slot *slot, uint64_t waiting,
                       struct rf_tally *scratch) {
  for (int i = 0; i < TRIES && !copy_once(scratch, slot, waiting); i++) {
  }
  rf_tally_merge(tally, scratch);
}

void rf_tally_add(struct rf_tally *tally, uint64_t duration) {
  struct rf_bucket bucket = rf_bucket_of(duration);
  tally->sums.ended++, tally->sums.timed++, tally->sums.weights++, tally->sums.weight_squares++;
  tally->sums.sum += duration;
  tally->sums.sum_outer += duration;
  tally->sums.squares += (unsigned __int128)duration * duration;
  if (duration < tally->sums.min) tally->sums.min = duration;
  if (duration > tally->sums.max) tally->sums.max = duration;
  tally->bucket[bucket.octave * RF_SUBBUCKETS + bucket.index]++;
}

struct rf_packed_tally *rf_tally_pack(const struct rf_tally *tally) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < BUCKETS; i++) count += tally->bucket[i] != 0;
  struct rf_packed_tally *packed = rf_malloc(sizeof *packed + count * sizeof *packed->bucket);
  if (!packed) return NULL;
  packed->sums = tally->sums;
  packed->count = 0;
  for (uint32_t i = 0; i < BUCKETS; i++) {
    if (!tally->bucket[i]) continue;
    packed->bucket[packed->count].index = i;
    packed->bucket[packed->count++].calls = tally->bucket[i];
  }
  return packed;
}

static void take_off(uint64_t *from, uint64_t amount) { *from = above(*from, amount); }
static void take_off_sum(unsigned __int128 *from, unsigned __int128 amount) {
  *from = *from > amount ? *from - amount : 0;
}

void rf_tally_subtract(struct rf_tally *tally, const struct rf_packed_tally *before) {
  struct rf_tally_sums *now = &tally->sums;
  const struct rf_tally_sums *then = &before->sums;
  take_off(&now->ended, then->ended);
  take_off(&now->timed, then->timed);
  take_off(&now->weights, then->weights);
  take_off(&now->weight_squares, then->weight_squares);
  take_off(&now->inner_weights, then->inner_weights);
  take_off(&now->endless_weights, then->endless_weights);
  take_off_sum(&now->sum, then->sum);
  take_off_sum(&now->sum_outer, then->sum_outer);
  take_off_sum(&now->squares, then->squares);
  for (uint32_t i = 0; i < before->count; i++)
    take_off(&tally->bucket[before->bucket[i].index], before->bucket[i].calls);
  now->min = UINT64_MAX;
  now->max = 0;
}

/* ---- statistics ---- */

static double middle_of(uint32_t index) {
  struct rf_bucket bucket = {index / RF_SUBBUCKETS, index % RF_SUBBUCKETS};
  return ((double)rf_bucket_lower(bucket) + (double)rf_bucket_upper(bucket) - 1) / 2;
}

static double seconds(struct rf_tally_scale scale, double units) {
  return units > scale.inside ? (units - scale.inside) * scale.unit_s : 0;
}

/* The middle of the bucket that holds the value of that rank. */
static double quantile(const struct rf_tally *tally, double share) {
  double all = 0, seen = 0, last = NAN;
  for (uint32_t i = 0; i < BUCKETS; i++) all += (double)tally->bucket[i];
  double rank = share * all * (1 - 1e-12);
  for (uint32_t i = 0; i < BUCKETS && !(seen >= rank && !isnan(last)); i++) {
    if (!tally->bucket[i]) continue;
    seen += (double)tally->bucket[i];
    last = middle_of(i);
  }
  return last;
}

static double extreme(const struct rf_tally *tally, bool highest) {
  double found = NAN;
  for (uint32_t i = 0; i < BUCKETS; i++)
    if (tally->bucket[i] && (highest || isnan(found))) found = middle_of(i);
  return found;
}

static double within(double value, double low, double high) {
  return value < low ? low : value > high ? high : value;
}

static double deviation(const struct rf_tally *tally) {
  long double n = tally->sums.weights,
              m2 = rf_squared_deviations(tally->sums.weights, tally->sums.sum, tally->sums.squares);
  return (double)sqrtl(m2 / (n > 1 ? n - 1 : 1));
}

static double confidence(const struct rf_tally *tally, double mean, double deviation_units) {
  if (tally->sums.weights == tally->sums.timed) return 0;
  double n = (double)tally->sums.weights * (double)tally->sums.weights / (double)tally->sums.weight_squares;
  double share = n / (double)tally->sums.ended;
  return n >= 2 && mean > 0 && share < 1 ? 1.96 * deviation_units / mean * sqrt((1 - share) / n) : NAN;
}

static void fill_moments(const struct rf_tally *tally, struct rf_tally_scale scale,
                         struct refunc_timing_stats *stats) {
  double n = (double)tally->sums.weights, mean = (double)tally->sums.sum / n, units = deviation(tally);
  double outermost = n - fmin((double)tally->sums.inner_weights, n);
  /* Drawn gaps add up to their mean only in the long run: what is left of that is scaled away. */
  double calls = (double)tally->sums.ended, stood_for = n + (double)tally->sums.endless_weights;
  double outer = (double)tally->sums.sum_outer - scale.inside * outermost;
  stats->mean_s = seconds(scale, mean);
  stats->total_s =
      outer > 0 ? outer * scale.unit_s * (tally->sums.weights == tally->sums.timed ? 1 : calls / stood_for)
                : 0;
  stats->stddev_s = units * scale.unit_s;
  stats->ci95_ratio = confidence(tally, mean - scale.inside, units);
  stats->min_s =
      seconds(scale, tally->sums.min <= tally->sums.max ? (double)tally->sums.min : extreme(tally, false));
  stats->max_s =
      seconds(scale, tally->sums.min <= tally->sums.max ? (double)tally->sums.max : extreme(tally, true));
}

void rf_tally_stats(const struct rf_tally *tally, struct rf_tally_scale scale,
                    struct refunc_timing_stats *stats) {
  struct refunc_timing_stats all = {.count = tally->sums.ended,
                                    .timed = tally->sums.timed,
                                    .mean_s = NAN,
                                    .min_s = NAN,
                                    .max_s = NAN,
                                    .stddev_s = NAN,
                                    .p50_s = NAN,
                                    .p90_s = NAN,
                                    .p95_s = NAN,
                                    .p99_s = NAN,
                                    .p999_s = NAN,
                                    .total_s = tally->sums.ended ? NAN : 0,
                                    .ci95_ratio = tally->sums.ended ? NAN : 0};
  double *const places[] = {&all.p50_s, &all.p90_s, &all.p95_s, &all.p99_s, &all.p999_s};
  static const double shares[] = {0.5, 0.9, 0.95, 0.99, 0.999};
  if (tally->sums.timed && tally->sums.weights) {
    fill_moments(tally, scale, &all);
    for (int i = 0; i < 5; i++)
      *places[i] = within(seconds(scale, quantile(tally, shares[i])), all.min_s, all.max_s);
  }
  rf_api_fill(stats, &all, sizeof all);
}
