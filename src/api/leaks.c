/*
 * Leaks by growth: looks at the live heap at moments that the app calls steady. A leak is growth that goes
 * on: more than the threshold since the baseline, and a trend (Mann-Kendall: how many pairs of looks rise,
 * against what chance would give). A cache that fills up once grows, too, but stops, and its trend fades.
 * Full, every second look is dropped, and from then on every second one is kept.
 *
 * With heap.leak_check on, what nothing leads to any more is counted as well (heap/leaks.h).
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "api/api.h"
#include "api/facts.h"
#include "api/guard.h"
#include "base/clock.h"
#include "base/quiet.h"
#include "heap/leaks.h"
#include "heap/track.h"
#include "recording/threads.h"
#include "sample/sampler.h"

#define MOST_LOOKS 128u
#define LEAST_LOOKS 4u
#define SURE 0.95

struct look {
  double time_s, bytes;
};

static struct {
  struct rf_guard guard;
  struct look look[MOST_LOOKS];
  uint32_t count, every, skipped;
  uint64_t samples;
} looks;

static void drop_every_second(void) {
  for (uint32_t i = 0; i < looks.count / 2; i++) looks.look[i] = looks.look[2 * i];
  looks.count /= 2;
  looks.every *= 2;
}

static int now(struct look *look) {
  struct refunc_memory memory = {.size = sizeof memory};
  int failed = rf_api_get_memory(&memory);
  if (failed) return failed;
  if (memory.heap_live_bytes == REFUNC_UNKNOWN) return -ENOTSUP;
  *look = (struct look){(double)rf_monotonic_ns() * 1e-9, (double)memory.heap_live_bytes};
  return 0;
}

static void keep(struct look look) {
  looks.samples++;
  if (looks.count && ++looks.skipped < looks.every) return;
  looks.skipped = 0;
  if (looks.count == MOST_LOOKS) drop_every_second();
  looks.look[looks.count++] = look;
}

int rf_api_leak_baseline(void) {
  struct look first;
  int failed = now(&first);
  if (failed) return failed;
  uint64_t mask = rf_guard_take(&looks.guard);
  looks.count = looks.skipped = 0;
  looks.every = 1;
  keep(first);
  looks.samples = 0;
  rf_guard_give(&looks.guard, mask);
  return 0;
}

int rf_api_leak_sample(void) {
  struct look look;
  int failed = now(&look);
  if (failed) return failed;
  uint64_t mask = rf_guard_take(&looks.guard);
  if (!looks.count)
    failed = -EINVAL;
  else
    keep(look);
  rf_guard_give(&looks.guard, mask);
  return failed;
}

/* ---- the trend ---- */

static int sign(double value) { return (value > 0) - (value < 0); }

/* Looks that tell nothing, since they equal others, take their part out of the variance. */
static double variance(const struct look *look, uint32_t n) {
  double ties = 0;
  for (uint32_t i = 0; i < n; i++) {
    double same = 0;
    bool first = true;
    for (uint32_t k = 0; k < n; k++) {
      if (look[k].bytes != look[i].bytes) continue;
      same++;
      if (k < i) first = false;
    }
    if (first) ties += same * (same - 1) * (2 * same + 5);
  }
  return ((double)n * (n - 1) * (2.0 * n + 5) - ties) / 18;
}

static double confidence(const struct look *look, uint32_t n) {
  int rises = 0;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = i + 1; k < n; k++) rises += sign(look[k].bytes - look[i].bytes);
  double spread = variance(look, n);
  if (n < LEAST_LOOKS) return NAN;
  if (!(spread > 0)) return 0;
  double z = (rises - sign(rises)) / sqrt(spread);
  return 0.5 * erfc(-z / sqrt(2));
}

/* The median of the slopes from each look to the later ones, by counting: no memory, and one burst does not
 * tilt it. */
static double slope(const struct look *look, uint32_t n) {
  double low = INFINITY, high = -INFINITY;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = i + 1; k < n; k++) {
      double s = (look[k].bytes - look[i].bytes) / (look[k].time_s - look[i].time_s);
      if (s < low) low = s;
      if (s > high) high = s;
    }
  if (!isfinite(low) || !isfinite(high)) return NAN;
  for (int step = 0; step < 60 && high > low; step++) {
    double middle = low + (high - low) / 2;
    uint32_t under = 0, all = 0;
    for (uint32_t i = 0; i < n; i++)
      for (uint32_t k = i + 1; k < n; k++, all++)
        under += (look[k].bytes - look[i].bytes) / (look[k].time_s - look[i].time_s) <= middle;
    if (2 * under >= all)
      high = middle;
    else
      low = middle;
  }
  return high;
}

static void judge(const struct look *look, uint32_t n, uint64_t threshold,
                  struct refunc_leak_report *report) {
  double grown = look[n - 1].bytes - look[0].bytes;
  report->baseline_bytes = (uint64_t)look[0].bytes;
  report->live_bytes = (uint64_t)look[n - 1].bytes;
  report->growth_bytes = (int64_t)grown;
  report->confidence = confidence(look, n);
  report->growth_bytes_per_s = slope(look, n);
  report->leaking = grown > (double)threshold && !(report->confidence < SURE);
}

static void look_for_lost(struct refunc_leak_report *report) {
  struct rf_leaks leaks;
  report->lost_blocks = report->lost_bytes = REFUNC_UNKNOWN;
  bool can = rf_track_mode != RF_TRACK_NONE && !rf_quiet();
  if (!can || strcmp(rf_api_option("heap.leak_check"), "on") != 0) return;
  rf_internal_enter();
  bool found = rf_leaks_check(rf_sampler_tid(), &leaks) == 0;
  rf_internal_leave();
  if (!found) return;
  report->lost_blocks = leaks.lost_blocks;
  report->lost_bytes = leaks.lost_bytes;
}

/* The looks that are kept, and the one of now, which is kept, too. */
int rf_api_leak_check(uint64_t threshold_bytes, struct refunc_leak_report *report) {
  struct refunc_leak_report all = {0};
  struct look look[MOST_LOOKS + 1], last;
  int failed = now(&last);
  if (failed) return failed;
  uint64_t mask = rf_guard_take(&looks.guard);
  uint32_t n = looks.count;
  memcpy(look, looks.look, n * sizeof *look);
  if (n) keep(last);
  all.samples = looks.samples;
  rf_guard_give(&looks.guard, mask);
  if (!n) return -EINVAL;
  look[n++] = last;
  judge(look, n, threshold_bytes, &all);
  if (report) look_for_lost(&all);
  if (report) rf_api_fill(report, &all, sizeof all);
  return all.leaking;
}
