/* The timeline: bounded, joined, never half. Ticks are invented; no thread runs. */
#include <criterion/criterion.h>
#include <math.h>

#include "recording/writer.h"
#include "sample/timeline.h"

#define TICK 100000000ll

static struct rf_reading reading;
static struct rf_system_entry totals;

static void prepare(void) {
  struct rf_recording_plan plan = {.is_root = true, .live_dir = "/nowhere"};
  cr_assert_eq(rf_recording_create(&plan), 0);
  reading.header = rf_recording_header();
  reading.totals = &totals;
  reading.now_ns = reading.header->start_monotonic_ns;
  totals.interval_s = TICK / 1e9;
  rf_timeline_forget();
}

/* One tick of length_ns in which every metric but RSS is NaN. */
static void tick(double rss, int64_t length_ns) {
  int64_t start = reading.now_ns;
  for (int m = 0; m < RF_METRICS; m++) reading.value[m] = NAN, reading.span[m] = 0;
  reading.value[RF_METRIC_RSS] = rss;
  reading.span[RF_METRIC_RSS] = (double)length_ns / 1e9;
  reading.now_ns += length_ns;
  rf_timeline_add(&reading, start);
}

static struct rf_sample_entry points[RF_TIMELINE_POINTS + 1];

static uint32_t collect(void) {
  uint32_t count = 0;
  const struct rf_chunk *chunk = rf_recording_at(totals.current_timeline);
  for (; chunk; chunk = rf_recording_at(chunk->next)) {
    const struct rf_sample_entry *entry = (const void *)(chunk + 1);
    for (uint32_t i = 0; i < chunk->count && count <= RF_TIMELINE_POINTS; i++) points[count++] = entry[i];
  }
  return count;
}

/* After any number of ticks: at most the limit, no gap, and point by point the min, mean and max of the ticks
 * in it. */
Test(timeline, any_number_of_ticks) {
  prepare();
  for (uint32_t n = 1; n <= 5000; n++) {
    tick(n, TICK);
    if (n % 97 && n != 600 && n != 601 && n != 1200 && n != 1201) continue;
    uint32_t count = collect();
    cr_assert(count >= 1 && count <= RF_TIMELINE_POINTS, "%u points of %u ticks", count, n);
    double at = 0;
    for (uint32_t i = 0; i < count; i++) {
      double first = round(at * 10) + 1, last = round((at + points[i].length_s) * 10);
      const float *rss = points[i].value[RF_METRIC_RSS];
      cr_assert_float_eq(points[i].time_s - points[i].length_s / 2, at, 1e-6);
      cr_assert_eq(rss[0], first, "point %u of %u ticks: %g instead of %g", i, n, rss[0], first);
      cr_assert_eq(rss[2], last);
      cr_assert_float_eq(rss[1], (first + last) / 2, 1e-3 * last, "%g", rss[1]);
      cr_assert(isnan(points[i].value[RF_METRIC_READ][1]));
      at += points[i].length_s;
    }
    cr_assert_float_eq(at, n * 0.1, 1e-6, "%g of %u ticks", at, n);
  }
  cr_expect_eq(totals.samples, 5000);
  cr_expect_float_eq(totals.metric[RF_METRIC_RSS].sum / totals.metric[RF_METRIC_RSS].weight, 2500.5, 1e-6);
  cr_expect_eq(totals.metric[RF_METRIC_RSS].min, 1);
  cr_expect_eq(totals.metric[RF_METRIC_RSS].max, 5000);
  cr_expect_eq(totals.metric[RF_METRIC_READ].weight, 0);
}

/* A year at 100 ms fits into the same two tables. */
Test(timeline, memory_is_bounded) {
  prepare();
  for (int i = 0; i < 1300; i++) tick(1, TICK);
  uint64_t used = rf_recording_header()->used_bytes;
  for (int i = 0; i < 200000; i++) tick(1, TICK);
  cr_expect_eq(rf_recording_header()->used_bytes, used);
  cr_expect_leq(used, 300000);
  cr_expect(collect() >= RF_TIMELINE_POINTS / 2);
}

/* The moment before the end is part of the mean, but its rate over a millisecond is no maximum, unless the
 * mean is. */
Test(timeline, a_brief_last_tick) {
  prepare();
  tick(100, TICK);
  tick(200, TICK);
  tick(1000, TICK / 100);
  cr_expect_eq(collect(), 2);
  double mean = (200 * 0.1 + 1000 * 0.001) / 0.101; /* 207.9: above both samples of its point */
  cr_expect_float_eq(points[1].value[RF_METRIC_RSS][1], mean, 1e-3);
  cr_expect_float_eq(points[1].value[RF_METRIC_RSS][2], mean, 1e-3);
  cr_expect_eq(points[1].value[RF_METRIC_RSS][0], 200);
  cr_expect_float_eq(points[1].length_s, 0.101, 1e-6);
  cr_expect_eq(totals.metric[RF_METRIC_RSS].max, 200);
  cr_expect_float_eq(totals.metric[RF_METRIC_RSS].weight, 0.201, 1e-9);
}

Test(timeline, ratios_for_the_percentile) {
  prepare();
  static const double ratios[] = {0, 0.05, 0.0625, 1.99, 2, 15.99, 16, 4000};
  static const unsigned buckets[] = {0, 0, 1, 31, 32, 255, 255, 255};
  for (unsigned i = 0; i < 8; i++) {
    uint32_t before = totals.cpu_histogram[buckets[i]];
    int64_t start = reading.now_ns;
    for (int m = 0; m < RF_METRICS; m++) reading.value[m] = NAN;
    reading.value[RF_METRIC_CPU_PROCESS] = ratios[i];
    reading.span[RF_METRIC_CPU_PROCESS] = 0.1;
    reading.now_ns += TICK;
    rf_timeline_add(&reading, start);
    cr_expect_eq(totals.cpu_histogram[buckets[i]], before + 1, "%g", ratios[i]);
  }
}
