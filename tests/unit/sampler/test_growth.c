/* Growth over days, in invented time: histories of sites stay bounded, and tell what grows for ever from what
 * does not. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#include "recording/writer.h"
#include "report/trend.h"
#include "sample/reading.h"

#define SECOND 1000000000ll
#define DAY 86400.0
#define STEP_S 5
#define DAYS 10
#define SURE 0.95

static uint64_t state = 1;

static double draw(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (double)(state >> 11) * 0x1p-53;
}

static double cycle(double t) { return 0.5 - 0.5 * cos(2 * M_PI * t / DAY); }

/* ---- what sites hold at second t; MB is 1e6 bytes ---- */

static double steady(double t) { return 100 * t; }
static double slow(double t) { return 1e6 + 1000 * floor(t / 3600); }
static double bursts(double t) { return 5e4 + 1e5 * floor(t / (6 * 3600)); }
static double under_a_daily_cycle(double t) { return 1e6 * cycle(t) + 6e5 * t / DAY; }
static double with_nightly_dips(double t) { return 4e5 * t / DAY + 3e5 * fmod(t, DAY) / DAY; }
static double noisy(double t) { return 10 * t + 2e6 * draw(); }

static double startup(double t) { return t < 60 ? 1e5 * t / 60 : 1e5; }
static double filling_for_two_days(double t) { return 1e8 * fmin(t / DAY / 2, 1); }
static double saturating(double t) { return 1e8 * (1 - exp(-t / DAY)); }
static double daily_cycle(double t) { return 1e5 + 1e7 * cycle(t); }
static double nightly_restart(double t) { return 1e5 + 200 * fmod(t, DAY); }
static double steady_noise(double t) {
  (void)t;
  return 1e6 + 1e6 * draw();
}
static double shrinking(double t) { return 1e9 - 1000 * t; }
static double around_a_mean(double t) {
  static double value = 1e6;
  (void)t;
  value += 0.01 * (1e6 - value) + 3e4 * (draw() - 0.5);
  return value;
}

static const struct site {
  const char *name;
  double (*holds)(double t);
  double bytes_per_s; /* 0: it does not leak */
} sites[] = {{"steady", steady, 100},
             {"slow", slow, 1000.0 / 3600},
             {"bursts", bursts, 1e5 / (6 * 3600)},
             {"under_a_daily_cycle", under_a_daily_cycle, 6e5 / DAY},
             {"with_nightly_dips", with_nightly_dips, 4e5 / DAY},
             {"noisy", noisy, 10},
             {"startup", startup, 0},
             {"filling_for_two_days", filling_for_two_days, 0},
             {"saturating", saturating, 0},
             {"daily_cycle", daily_cycle, 0},
             {"nightly_restart", nightly_restart, 0},
             {"steady_noise", steady_noise, 0},
             {"shrinking", shrinking, 0},
             {"around_a_mean", around_a_mean, 0}};
#define SITES (sizeof sites / sizeof *sites)

/* ---- a recording with these sites, on one thread ---- */

static struct rf_site_entry *entry[SITES];
static struct rf_site_part *part[SITES];

static void prepare(struct rf_reading *reading) {
  struct rf_recording_plan plan = {.is_root = true, .live_dir = "/nowhere"};
  cr_assert_eq(rf_recording_create(&plan), 0);
  reading->header = rf_recording_header();
  rf_ref *threads = rf_recording_root(RF_TABLE_THREAD), *all = rf_recording_root(RF_TABLE_SITE);
  struct rf_thread_entry *thread = rf_table_append(threads, RF_TABLE_THREAD, sizeof *thread, 4);
  for (uint32_t i = 0; i < SITES; i++) {
    entry[i] = rf_table_append(all, RF_TABLE_SITE, sizeof **entry, 32);
    rf_table_publish(*all);
    part[i] = rf_table_append(&thread->site_parts, RF_TABLE_SITE_PART, sizeof **part, 32);
    part[i]->site = i + 1;
    rf_table_publish(thread->site_parts);
  }
  rf_table_publish(*threads);
}

static void look(struct rf_reading *reading, double t) {
  for (uint32_t i = 0; i < SITES; i++) {
    part[i]->alloc_bytes = (uint64_t)2e9;
    part[i]->free_bytes = (uint64_t)(2e9 - sites[i].holds(t));
  }
  reading->now_ns = reading->header->start_monotonic_ns + (int64_t)(t * SECOND);
  rf_source_sites.read(reading);
}

static const struct rf_site_history *history_of(uint32_t i) {
  const struct rf_site_history *history = rf_recording_at(entry[i]->history);
  cr_assert(history, "%s has no history", sites[i].name);
  return history;
}

static void check_history(uint32_t i, double now_s) {
  const struct rf_site_history *history = history_of(i);
  cr_assert(history->count >= RF_HISTORY_POINTS / 2 && history->count <= RF_HISTORY_POINTS);
  for (uint32_t k = 1; k < history->count; k++)
    cr_assert(history->time_s[k] > history->time_s[k - 1], "%s goes back in time", sites[i].name);
  cr_assert(history->time_s[0] < 0.05 * now_s && history->time_s[history->count - 1] > 0.9 * now_s,
            "%s: of %g s it tells from %g to %g", sites[i].name, now_s, history->time_s[0],
            history->time_s[history->count - 1]);
}

static void check_verdict(uint32_t i, double day) {
  const struct site *site = &sites[i];
  const struct rf_site_history *history = history_of(i);
  struct rf_report_trend trend;
  cr_assert(rf_trend_of(history->time_s, history->live_bytes, history->count, &trend));
  bool grows = trend.growth_bytes_per_s > 0 && trend.confidence >= SURE;
  cr_expect_eq(grows, site->bytes_per_s > 0, "day %g: %s: confidence %g, %g bytes/s", day, site->name,
               trend.confidence, trend.growth_bytes_per_s);
  if (grows && site->bytes_per_s > 0)
    cr_expect(fabs(trend.growth_bytes_per_s - site->bytes_per_s) < 0.5 * site->bytes_per_s,
              "day %g: %s grows by %g bytes/s, really %g", day, site->name, trend.growth_bytes_per_s,
              site->bytes_per_s);
}

Test(growth, ten_days) {
  static struct rf_reading reading;
  uint64_t used = 0;
  prepare(&reading);
  for (double t = 0; t <= DAYS * DAY; t += STEP_S) {
    look(&reading, t);
    double day = t / DAY;
    if (day == 1) used = reading.header->used_bytes;
    if (day < 6 || day != floor(day)) continue;
    for (uint32_t i = 0; i < SITES; i++) {
      check_history(i, t);
      check_verdict(i, day);
    }
  }
  cr_expect_eq(reading.header->used_bytes, used, "histories grew from %lu to %lu bytes", (unsigned long)used,
               (unsigned long)reading.header->used_bytes);
}
