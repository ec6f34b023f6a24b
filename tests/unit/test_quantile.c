/* Quantiles of the histogram against the sorted values themselves: within 1/64, whatever the distribution. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recording/reader.h"
#include "recording_fixture.h"
#include "report/model.h"

#define CALLS 100000

static double uniform(void) { return (drand48() * 4294967295.0 + 1) / 4294967298.0; }
static double gauss(void) { return sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()); }

static uint64_t from_uniform(void) { return 1000 + (uint64_t)(uniform() * 1e6); }
static uint64_t from_exponential(void) { return (uint64_t)(-50000 * log(uniform())); }
static uint64_t from_lognormal(void) { return (uint64_t)(20000 * exp(1.5 * gauss())); }
static uint64_t from_pareto(void) { return (uint64_t)(500 * pow(uniform(), -1 / 1.1)); }
static uint64_t from_small(void) { return (uint64_t)(uniform() * 40); }
static uint64_t from_constant(void) { return 12345; }
/* All values at the lower or the upper end of a bucket: where interpolation would be off by 1/32. */
static uint64_t from_edges(void) { return uniform() < 0.5 ? 1 << 20 : (33 << 15) - 1; }
static uint64_t from_two_peaks(void) {
  return (uint64_t)((uniform() < 0.93 ? 2000 : 3000000) * (1 + 0.05 * uniform()));
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static struct rf_report *report_of(struct fixture *f) {
  char path[] = "/tmp/refunc-quantile-XXXXXX", error[512] = "";
  int fd = mkstemp(path);
  cr_assert(fd >= 0);
  close(fd);
  fixture_write(f, path, 0);
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  unlink(path);
  cr_assert(reader, "%s", error);
  struct rf_report *report = rf_report_build(&reader, 1);
  rf_reader_close(reader);
  return report;
}

static void check_quantiles(const struct rf_report_function *g, const uint64_t *value, size_t count,
                            const char *what) {
  const struct {
    double q, found;
  } quantiles[] = {{0.5, g->p50_s}, {0.9, g->p90_s}, {0.95, g->p95_s}, {0.99, g->p99_s}, {0.999, g->p999_s}};
  for (size_t i = 0; i < 5; i++) {
    double exact = (double)value[(size_t)ceil(quantiles[i].q * (double)count) - 1] * 1e-9;
    cr_expect(fabs(quantiles[i].found - exact) <= exact / 64 + 1e-15, "%s: quantile %g is %.9g, exactly %.9g",
              what, quantiles[i].q, quantiles[i].found, exact);
  }
}

static void try_distribution(uint64_t (*draw)(void), const char *what) {
  struct fixture f = fixture_new();
  struct rf_thread_entry *threads[2] = {fixture_thread(&f), fixture_thread(&f)};
  uint32_t id = fixture_function(&f, "drawn", "app", 0x1000, 0);
  struct rf_slot *slots[2] = {fixture_slot(&f, threads[0], id), fixture_slot(&f, threads[1], id)};
  static uint64_t value[CALLS];
  long double sum = 0, squares = 0;
  for (size_t i = 0; i < CALLS; i++) {
    value[i] = draw();
    sum += value[i];
    fixture_call(&f, slots[i % 3 == 0], value[i]);
  }
  long double mean = sum / CALLS;
  for (size_t i = 0; i < CALLS; i++)
    squares += ((long double)value[i] - mean) * ((long double)value[i] - mean);
  qsort(value, CALLS, sizeof *value, by_value);
  struct rf_report *report = report_of(&f);
  const struct rf_report_function *g = &report->function[0];
  check_quantiles(g, value, CALLS, what);
  double stddev = (double)sqrtl(squares / (CALLS - 1)) * 1e-9;
  cr_expect_eq(g->calls, CALLS);
  cr_expect_eq(g->threads, 2);
  cr_expect(fabs(g->mean_s - (double)mean * 1e-9) <= 1e-12 * g->mean_s);
  cr_expect(fabs(g->stddev_s - stddev) <= 1e-6 * stddev + 1e-18, "%s: stddev %.12g, exactly %.12g", what,
            g->stddev_s, stddev);
  cr_expect_float_eq(g->min_s, (double)value[0] * 1e-9, 1e-15);
  cr_expect_float_eq(g->max_s, (double)value[CALLS - 1] * 1e-9, 1e-12);
  cr_expect_eq(g->ci95_ratio, 0);
  rf_report_free(report);
  fixture_free(&f);
}

Test(quantile, within_a_64th_of_the_exact_value) {
  srand48(1);
  try_distribution(from_uniform, "uniform");
  try_distribution(from_exponential, "exponential");
  try_distribution(from_lognormal, "lognormal");
  try_distribution(from_pareto, "Pareto");
  try_distribution(from_small, "small");
  try_distribution(from_constant, "constant");
  try_distribution(from_edges, "edges");
  try_distribution(from_two_peaks, "two peaks");
}

static int by_double(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

Test(quantile, union_of_clocks_that_tick_differently) {
  struct rf_duration_bucket slow[1000], fast[1000], merged[2000];
  double value[2000];
  for (size_t i = 0; i < 1000; i++) {
    value[i] = 1e-6 * pow(1.01, (double)i);
    value[1000 + i] = 1.7e-6 * pow(1.008, (double)i);
    struct rf_bucket a = rf_bucket_of((uint64_t)(value[i] * 1e9)),
                     b = rf_bucket_of((uint64_t)(value[1000 + i] * 2.7e9));
    slow[i] = (struct rf_duration_bucket){((double)rf_bucket_lower(a) + (double)rf_bucket_upper(a) - 1) / 2e9,
                                          (double)rf_bucket_upper(a) / 1e9, 1, 1};
    fast[i] =
        (struct rf_duration_bucket){((double)rf_bucket_lower(b) + (double)rf_bucket_upper(b) - 1) / 5.4e9,
                                    (double)rf_bucket_upper(b) / 2.7e9, 1, 1};
  }
  size_t count = rf_buckets_merge(merged, slow, 1000, fast, 1000);
  for (size_t i = 1; i < count; i++) cr_assert_geq(merged[i].middle_s, merged[i - 1].middle_s);
  qsort(value, 2000, sizeof *value, by_double);
  for (double q = 0.01; q < 1; q += 0.01) {
    double exact = value[(size_t)ceil(q * 2000 - 1e-9) - 1], found = rf_quantile(merged, count, q);
    cr_expect(fabs(found - exact) <= exact / 60, "quantile %g is %.9g, exactly %.9g", q, found, exact);
  }
}

Test(quantile, edges_of_the_definition) {
  const struct rf_duration_bucket two[] = {{1, 1.1, 1, 1}, {2, 2.1, 3, 1}};
  cr_expect(isnan(rf_quantile(NULL, 0, 0.5)));
  cr_expect_eq(rf_quantile(two, 2, 0.25),
               1); /* a quarter of the weight lies in the first: its value is the quantile */
  cr_expect_eq(rf_quantile(two, 2, 0.26), 2);
  cr_expect_eq(rf_quantile(two, 2, 1), 2);
  cr_expect_eq(rf_quantile(two, 2, 0), 1);
}
