/*
 * A day's worth of calls: 2^40 of them on 64 threads go through the writer's own sums (trace/account.h) into
 * a recording, from there into the report, its JSON, and the answers to a running program. What must come out
 * is known exactly: the durations are a short list, each with a number of calls, so that sums are integers of
 * 128 bits and quantiles are counted off.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/tally.h"
#include "base/log.h"
#include "recording/reader.h"
#include "recording_fixture.h"
#include "recording_sample.h"
#include "report/json.h"
#include "report/load.h"
#include "trace/account.h"

char *rf_trace_base;
struct rf_probe_cycles rf_probe_cycles;

typedef unsigned __int128 u128;

enum { THREADS = 64, KINDS = 480, WEIGHT = 1 << 15 };
#define CALLS (1ull << 40)

static char folder[256], output[512];

/* What is to be recorded on each thread: so many calls of each duration, in steps of weight. */
struct load {
  uint64_t duration[KINDS], steps[KINDS];
  uint64_t weight;
};

static uint64_t calls_of(const struct load *load) {
  uint64_t calls = 0;
  for (int k = 0; k < KINDS; k++) calls += load->steps[k] * load->weight;
  return calls;
}

static u128 sum_of(const struct load *load) {
  u128 sum = 0;
  for (int k = 0; k < KINDS; k++) sum += (u128)load->duration[k] * load->steps[k] * load->weight;
  return sum;
}

/* Over count threads that all have the same. */
static double deviation_of(const struct load *load, unsigned count) {
  long double n = (long double)calls_of(load), mean = (long double)sum_of(load) / n, m2 = 0;
  for (int k = 0; k < KINDS; k++) {
    long double apart = (long double)load->duration[k] - mean;
    m2 += apart * apart * (long double)(load->steps[k] * load->weight);
  }
  return (double)sqrtl(m2 * count / (n * count - 1));
}

/* The smallest duration that at least this share of the calls does not exceed. */
static double quantile_of(const struct load *load, unsigned thousandths) {
  u128 seen = 0, all = calls_of(load);
  for (int k = 0; k < KINDS; k++) {
    seen += load->steps[k] * load->weight;
    if (seen * 1000 >= all * thousandths) return (double)load->duration[k];
  }
  return NAN;
}

/* ---- writing, as a thread's timed calls do ---- */

static void setup(void) {
  snprintf(output, sizeof output, "%s/app.rfn", fresh_folder(folder));
  rf_log_setup(-1, RF_LOG_ERROR, 0);
  struct rf_header *header = start_recording(output);
  header->cycles_per_second = 1e9;
  header->probe_inside_cycles = 0;
  rf_trace_base = (char *)header;
  add_function("hot");
}
static void teardown(void) {
  if (rf_recording_header()) rf_recording_flush(true);
  remove_folder(folder);
}
TestSuite(long_runs, .init = setup, .fini = teardown, .timeout = 100);

static struct rf_thread_entry *new_thread(uint32_t tid) {
  rf_ref *root = rf_recording_root(RF_TABLE_THREAD);
  struct rf_thread_entry *thread = rf_table_append(root, RF_TABLE_THREAD, sizeof *thread, 8);
  cr_assert_not_null(thread);
  thread->tid = tid;
  rf_table_publish(*root);
  return thread;
}

static struct rf_slot *new_slot(struct rf_thread_entry *thread) {
  struct rf_slot *slot = rf_table_append(&thread->slots, RF_TABLE_SLOT, sizeof *slot, 1);
  cr_assert_not_null(slot);
  slot->threads = 1;
  slot->min = UINT64_MAX;
  rf_table_publish(thread->slots);
  return slot;
}

static void add_call(struct rf_slot *slot, uint64_t duration, uint64_t weight) {
  rf_ref *octave = &slot->octave[rf_bucket_of(duration).octave];
  if (!*octave) *octave = rf_recording_ref(rf_recording_alloc(RF_SUBBUCKETS * sizeof(uint64_t)));
  cr_assert(*octave);
  slot->entered++;
  slot->counted += weight - 1;
  slot->depth++;
  rf_slot_add(slot, duration, duration, 0, weight);
}

static void add_load(struct rf_slot *slot, const struct load *load) {
  for (int k = 0; k < KINDS; k++)
    for (uint64_t i = 0; i < load->steps[k]; i++) add_call(slot, load->duration[k], load->weight);
}

/* 2^40 calls over all threads, from 1 to 2^bits units long. */
static struct load spread(unsigned bits) {
  struct load load = {.weight = WEIGHT};
  uint64_t left = CALLS / THREADS / WEIGHT;
  for (int k = 0; k < KINDS; k++) {
    load.duration[k] = (uint64_t)ldexp(1 + (k % 7) / 8.0, (int)(bits * (unsigned)k / KINDS));
    /* Fewer and fewer, but one of more than 2^32; the rest are the longest. */
    load.steps[k] = k == 20 ? left / 2 : k + 1 < KINDS ? left / 97 : left;
    left -= load.steps[k];
  }
  for (int k = 1; k < KINDS; k++) /* strictly rising */
    if (load.duration[k] <= load.duration[k - 1]) load.duration[k] = load.duration[k - 1] + 1;
  return load;
}

/* ---- reading ---- */

static struct rf_report *read_back(void) {
  char error[512] = "";
  rf_recording_header()->exit_kind = RF_EXIT_EXITED;
  rf_recording_flush(true);
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  cr_assert(reader, "%s", error);
  struct rf_report *report = rf_report_build(&reader, 1);
  rf_reader_close(reader);
  cr_assert_eq(report->functions, 1);
  return report;
}

#define WITHIN(found, exact, share)                                                                          \
  cr_expect(fabs((found) - (exact)) <= (share)*fabs(exact), #found " is %.17g, exactly %.17g",               \
            (double)(found), (double)(exact))

static const unsigned thousandths[] = {500, 900, 950, 990, 999};

static void check_quantiles(const double *found, const struct load *load) {
  for (int i = 0; i < 5; i++) WITHIN(found[i], quantile_of(load, thousandths[i]) * 1e-9, 1 / 64.0);
}

static void check_function(const struct rf_report_function *f, const struct load *load) {
  const double quantiles[] = {f->p50_s, f->p90_s, f->p95_s, f->p99_s, f->p999_s};
  cr_expect_eq(f->calls, CALLS);
  cr_expect_eq(f->timed_calls, CALLS / WEIGHT);
  cr_expect_eq(f->threads, THREADS);
  WITHIN(f->mean_s, (double)((long double)sum_of(load) / (CALLS / THREADS)) * 1e-9, 1e-12);
  WITHIN(f->stddev_s, deviation_of(load, THREADS) * 1e-9, 1e-9);
  cr_expect_eq(f->min_s, (double)load->duration[0] * 1e-9);
  WITHIN(f->max_s, (double)load->duration[KINDS - 1] * 1e-9, 1e-15);
  check_quantiles(quantiles, load);
}

static json_t *as_json(struct rf_report *report) {
  struct rf_buffer out = {0};
  json_error_t error;
  rf_json_report(&out, report);
  cr_expect(strstr(out.bytes, ": -") == NULL, "nothing in it is negative");
  json_t *document = json_loads(out.bytes, 0, &error);
  cr_assert(document, "%s", error.text);
  char problem[256];
  struct rf_report *again = rf_json_load(out.bytes, out.length, "report", problem, sizeof problem);
  cr_assert(again, "%s", problem);
  cr_expect_eq(again->function[0].calls, report->function[0].calls);
  rf_report_free(again);
  rf_buffer_free(&out);
  return document;
}

static json_t *function_in(json_t *document) {
  return json_array_get(json_object_get(document, "functions"), 0);
}

static json_int_t integer(json_t *object, const char *key) {
  json_t *value = json_object_get(object, key);
  cr_assert(json_is_integer(value), "%s is an integer", key);
  return json_integer_value(value);
}

static void check_json(struct rf_report *report) {
  json_t *document = as_json(report), *function = function_in(document), *bucket;
  uint64_t all = 0;
  size_t i;
  json_array_foreach(json_object_get(function, "histogram"), i, bucket) all +=
      (uint64_t)json_integer_value(json_array_get(bucket, 1));
  cr_expect_eq(integer(function, "calls"), CALLS);
  cr_expect_eq(integer(function, "timed_calls"), CALLS / WEIGHT);
  cr_expect_eq(all, CALLS);
  WITHIN(json_number_value(json_object_get(function, "total_s")), report->function[0].total_s, 1e-8);
  json_decref(document);
}

/* ---- what may not overflow ---- */

static struct rf_slot *slots[THREADS];

static void write_all(const struct load *load, uint32_t depth) {
  for (uint32_t t = 0; t < THREADS; t++) {
    slots[t] = new_slot(new_thread(100 + t));
    slots[t]->depth = depth;
    add_load(slots[t], load);
  }
}

Test(long_runs, a_day_of_calls_on_64_threads) {
  struct load load = spread(20);
  cr_assert_eq(calls_of(&load), CALLS / THREADS);
  cr_assert(sum_of(&load) > (u128)86400 * 1000000000, "at least a day of each thread");
  write_all(&load, 0);
  struct rf_report *report = read_back();
  check_function(&report->function[0], &load);
  WITHIN(report->function[0].total_s, (double)((long double)sum_of(&load) * THREADS) * 1e-9, 1e-12);
  WITHIN(report->function[0].self_s, (double)((long double)sum_of(&load) * THREADS) * 1e-9, 1e-12);
  check_json(report);
  rf_report_free(report);
}

/* Recursion so deep that the sums of single calls are many times the time that passed: 2^79 units and more.
 */
Test(long_runs, calls_of_hours_inside_each_other) {
  struct load load = spread(45);
  cr_assert(sum_of(&load) > (u128)1 << 64, "more than a word holds");
  write_all(&load, 1);
  for (int t = 0; t < THREADS; t++) cr_expect(slots[t]->sum_high && slots[t]->sum_outer == 0);
  struct rf_report *report = read_back();
  check_function(&report->function[0], &load);
  check_json(report);
  rf_report_free(report);
}

Test(long_runs, answers_to_the_program_itself) {
  struct load load = spread(45);
  struct rf_tally *tally = calloc(3, sizeof *tally);
  write_all(&load, 0);
  rf_tally_clear(&tally[0]);
  for (int t = 0; t < THREADS; t++) {
    rf_tally_clear(&tally[1]);
    rf_tally_add_slot(&tally[1], slots[t], 0, &tally[2]);
    rf_tally_merge(&tally[0], &tally[1]);
  }
  struct refunc_timing_stats stats = {.size = sizeof stats};
  rf_tally_stats(&tally[0], (struct rf_tally_scale){1e-9, 0}, &stats);
  const double quantiles[] = {stats.p50_s, stats.p90_s, stats.p95_s, stats.p99_s, stats.p999_s};
  cr_expect_eq(stats.count, CALLS);
  cr_expect_eq(stats.timed, CALLS / WEIGHT);
  WITHIN(stats.mean_s, (double)((long double)sum_of(&load) / (CALLS / THREADS)) * 1e-9, 1e-12);
  WITHIN(stats.stddev_s, deviation_of(&load, THREADS) * 1e-9, 1e-9);
  check_quantiles(quantiles, &load);
  free(tally);
}

/* Calls that differ in one unit of many: what cancels in squares - sum² / n is all of the deviation. */
Test(long_runs, small_deviations_of_long_calls) {
  struct load load = {.weight = 1 << 15};
  for (int k = 0; k < KINDS; k++) {
    load.duration[k] = ((uint64_t)1 << 40) + (uint64_t)k;
    load.steps[k] = 64;
  }
  struct rf_slot *slot = new_slot(new_thread(1));
  add_load(slot, &load);
  struct rf_tally *tally = calloc(2, sizeof *tally);
  rf_tally_clear(&tally[0]);
  rf_tally_add_slot(&tally[0], slot, 0, &tally[1]);
  struct refunc_timing_stats stats = {.size = sizeof stats};
  rf_tally_stats(&tally[0], (struct rf_tally_scale){1e-9, 0}, &stats);
  struct rf_report *report = read_back();
  WITHIN(report->function[0].stddev_s, deviation_of(&load, 1) * 1e-9, 1e-9);
  WITHIN(stats.stddev_s, deviation_of(&load, 1) * 1e-9, 1e-9);
  rf_report_free(report);
  free(tally);
}

/* The most that a double holds exactly, and one less than that many calls are still to come. */
Test(long_runs, counters_up_to_what_json_can_hold) {
  struct rf_thread_entry *thread = new_thread(1);
  struct rf_slot *slot = new_slot(thread);
  uint64_t most = (1ull << 53) - 1;
  add_call(slot, 1000, 1);
  slot->entered = most - 5;
  slot->counted = 1ull << 62;
  uint64_t *countdown = rf_recording_alloc(sizeof *countdown);
  *countdown = (1ull << 62) - 5 + 1;
  thread->countdowns = rf_recording_ref(countdown);
  thread->countdown_count = 1;
  slot->unwound = slot->depth = 0;
  slot->durations = slot->weights = slot->weight_squares = most - 5;
  struct rf_report *report = read_back();
  cr_expect_eq(report->function[0].calls, most);
  json_t *document = as_json(report);
  cr_expect_eq(integer(function_in(document), "calls"), (json_int_t)most);
  cr_expect_eq(integer(function_in(document), "timed_calls"), (json_int_t)(most - 5));
  json_decref(document);
  rf_report_free(report);
}

Test(long_runs, bytes_and_shared_sums_beyond_a_double) {
  struct fixture f = fixture_new();
  struct rf_thread_entry *thread = fixture_thread(&f);
  thread->heap.alloc_bytes = (1ull << 60) + 4096; /* an exbibyte in a year: 34 GB a second */
  thread->heap.free_bytes = 1ull << 60;
  fixture_function(&f, "hot", "app", 0x10, 0);
  struct rf_span_entry span = {.name = fixture_string(&f, "request"),
                               .begin = fixture_string(&f, "b"),
                               .end = fixture_string(&f, "e"),
                               .slot = {.entered = 1ull << 40,
                                        .durations = 1ull << 40,
                                        .weights = 1ull << 40,
                                        .weight_squares = 1ull << 40,
                                        .sum = 5,
                                        .sum_high = 3,
                                        .sum_outer = 5,
                                        .min = 1,
                                        .max = 1ull << 45}};
  fixture_append(&f, &f.header->root[RF_TABLE_SPAN], RF_TABLE_SPAN, &span, sizeof span);
  struct rf_edge_entry edge = {.calls = 7, .sum = 9, .sum_high = 2};
  fixture_append(&f, &f.header->root[RF_TABLE_EDGE], RF_TABLE_EDGE, &edge, sizeof edge);
  fixture_write(&f, output, 0);
  char error[512] = "";
  rf_recording_drop();
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  cr_assert(reader, "%s", error);
  struct rf_report *report = rf_report_build(&reader, 1);
  rf_reader_close(reader);
  double total = 3 * ldexp(1, 64) * 1e-9;
  WITHIN(report->spans->function[0].total_s, total, 1e-12);
  WITHIN(report->spans->function[0].mean_s, total / ldexp(1, 40), 1e-12);
  WITHIN(report->edge[0].total_s, 2 * ldexp(1, 64) * 1e-9, 1e-12);
  struct rf_buffer out = {0};
  rf_json_report(&out, report);
  cr_expect(strstr(out.bytes, "\"alloc_bytes\": 1152921504606851072"), "bytes in full");
  rf_buffer_free(&out);
  rf_report_free(report);
  fixture_free(&f);
}
