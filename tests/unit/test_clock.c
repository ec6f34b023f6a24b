/* The rate of the cycle counter, from readings as a suspended, migrated or restored machine gives them. */
#include <criterion/criterion.h>
#include <math.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/clock.h"

#define SECOND 1000000000ll
#define ESTIMATE 2.9e9 /* a first look of 0.3 ms */
#define CYCLES 1000000000000u
#define NS (500 * SECOND)

static double refined(double cycles, double ns) {
  return rf_clock_refine(CYCLES, NS, (uint64_t)(CYCLES + cycles), NS + (int64_t)ns, ESTIMATE);
}

Test(clock, a_long_base_line_is_exact) {
  cr_expect_float_eq(refined(2.91e9 * 10, 10e9), 2.91e9, 1);
  cr_expect_float_eq(refined(2.885e9 * 86400, 86400e9), 2.885e9, 1);
  cr_expect_float_eq(refined(2.9e9 * 0.02, 0.02e9), 2.9e9, 1);
}

Test(clock, a_short_one_says_nothing) {
  cr_expect_eq(refined(2.91e9 * 0.001, 0.001e9), ESTIMATE);
  cr_expect_eq(refined(0, 0), ESTIMATE);
}

Test(clock, suspended_while_the_counter_went_on) {
  cr_expect_eq(refined(2.9e9 * (10 + 3600), 10e9), ESTIMATE);
}

Test(clock, suspended_and_the_counter_began_again) {
  cr_expect_eq(rf_clock_refine(CYCLES, NS, 5000, NS + 10 * SECOND, ESTIMATE), ESTIMATE);
  cr_expect_eq(rf_clock_refine(CYCLES, NS, CYCLES, NS + 10 * SECOND, ESTIMATE), ESTIMATE);
}

Test(clock, moved_to_a_machine_that_counts_otherwise) {
  cr_expect_eq(refined(2.9e9 * 10 + 2.1e9 * 10, 20e9), ESTIMATE);
}

Test(clock, a_clock_that_runs_backwards) {
  cr_expect_eq(refined(2.9e9, -1e9), ESTIMATE);
  cr_expect_eq(rf_clock_refine(CYCLES, NS, UINT64_MAX, INT64_MAX, ESTIMATE), ESTIMATE);
}

Test(clock, this_machine) {
  double first = rf_clock_calibrate();
  uint64_t cycles = rf_cycles();
  int64_t ns = rf_monotonic_ns();
  usleep(100000);
  double rate = rf_clock_refine(cycles, ns, rf_cycles(), rf_monotonic_ns(), first);
  cr_expect(first > 1e6 && fabs(rate / first - 1) < 0.01, "%.6g, then %.6g cycles a second", first, rate);
}
