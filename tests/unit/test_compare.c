/* Two sets of runs against each other. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare.h"

static struct rf_report *run_with(double mean_s, double p95_s, uint64_t calls, double heap_peak) {
  struct rf_report *report = rf_report_new();
  struct rf_report_function *f =
      rf_arena_push(report->arena, &report->function, report->functions++, sizeof *f);
  *f = (struct rf_report_function){.name = "work",
                                   .module = "app",
                                   .mode = "perf_counter",
                                   .calls = calls,
                                   .timed_calls = calls,
                                   .mean_s = mean_s,
                                   .p95_s = p95_s};
  report->heap.peak_bytes = heap_peak;
  return report;
}

static const struct rf_compared *row(const struct rf_comparison *c, const char *metric) {
  for (size_t i = 0; i < c->rows; i++)
    if (strcmp(c->row[i].metric, metric) == 0) return &c->row[i];
  cr_assert_fail("no row %s", metric);
  return NULL;
}

Test(compare, tolerance_decides) {
  struct rf_report *base = run_with(100e-6, 200e-6, 1000, 10e6),
                   *fresh = run_with(124e-6, 251e-6, 1000, 12e6);
  struct rf_comparison *c = rf_compare(&base, 1, &fresh, 1, 0.25);
  cr_expect_eq(row(c, "mean_s")->change, RF_SAME);
  cr_expect_eq(row(c, "p95_s")->change, RF_REGRESSED);
  cr_expect_eq(row(c, "heap.peak_bytes")->change, RF_SAME);
  cr_expect_eq(c->regressed, 1);
  cr_expect_str_eq(c->row[0].metric, "p95_s", "what regressed comes first");
  rf_comparison_free(c);
  c = rf_compare(&base, 1, &fresh, 1, 0.1);
  cr_expect_eq(c->regressed, 3);
  rf_comparison_free(c);
  c = rf_compare(&fresh, 1, &base, 1, 0.1);
  cr_expect_eq(c->regressed, 0);
  cr_expect_eq(c->improved, 3);
  rf_comparison_free(c);
  rf_report_free(base);
  rf_report_free(fresh);
}

Test(compare, medians_of_several_runs) {
  struct rf_report *base[] = {run_with(10e-6, 20e-6, 50, 1e6), run_with(11e-6, 20e-6, 50, 1e6),
                              run_with(90e-6, 20e-6, 50, 1e6)};
  struct rf_report *fresh[] = {run_with(10e-6, 20e-6, 50, 1e6), run_with(12e-6, 20e-6, 50, 1e6)};
  struct rf_comparison *c = rf_compare(base, 3, fresh, 2, 0.25);
  const struct rf_compared *mean = row(c, "mean_s");
  cr_expect_float_eq(mean->base.median, 11e-6, 1e-12);
  cr_expect_float_eq(mean->base.max, 90e-6, 1e-12);
  cr_expect_float_eq(mean->fresh.median, 11e-6, 1e-12);
  cr_expect(mean->overlaps);
  cr_expect_eq(mean->base.calls, 150);
  cr_expect_eq(c->regressed, 0, "one slow run of three moves no median");
  rf_comparison_free(c);
  for (int i = 0; i < 3; i++) rf_report_free(base[i]);
  for (int i = 0; i < 2; i++) rf_report_free(fresh[i]);
}

Test(compare, below_the_clocks_resolution_nothing_regresses) {
  struct rf_report *base = run_with(4e-9, 4e-9, 1000000, 1000), *fresh = run_with(8e-9, 8e-9, 1000000, 60000);
  struct rf_comparison *c = rf_compare(&base, 1, &fresh, 1, 0.25);
  cr_expect_eq(c->regressed, 0);
  rf_comparison_free(c);
  rf_report_free(base);
  rf_report_free(fresh);
}

Test(compare, few_calls_are_weak) {
  struct rf_report *base = run_with(1e-3, 1e-3, 3, 1e6), *fresh = run_with(2e-3, 2e-3, 3000, 1e6);
  struct rf_comparison *c = rf_compare(&base, 1, &fresh, 1, 0.25);
  cr_expect(row(c, "mean_s")->weak);
  cr_expect_eq(row(c, "mean_s")->change, RF_REGRESSED);
  rf_comparison_free(c);
  rf_report_free(base);
  rf_report_free(fresh);
}

Test(compare, what_is_in_one_side_only_is_listed_and_nothing_common_is_told) {
  struct rf_report *base = run_with(1e-3, 1e-3, 30, NAN), *fresh = run_with(1e-3, 1e-3, 30, NAN);
  fresh->function[0].name = "other";
  struct rf_comparison *c = rf_compare(&base, 1, &fresh, 1, 0.25);
  cr_expect_eq(c->common, 0);
  cr_expect_eq(c->rows, 0);
  cr_assert_eq(c->only_bases, 1);
  cr_assert_eq(c->only_freshes, 1);
  cr_expect_str_eq(c->only_base[0].name, "work");
  cr_expect_str_eq(c->only_fresh[0].name, "other");
  rf_comparison_free(c);
  rf_report_free(base);
  rf_report_free(fresh);
}

Test(compare, every_form_escapes_names) {
  struct rf_report *base = run_with(1e-3, 1e-3, 30, 1e6), *fresh = run_with(2e-3, 1e-3, 30, 1e6);
  base->function[0].name = fresh->function[0].name = "<b>|`x`\033[1m&\"\n";
  struct rf_comparison *c = rf_compare(&base, 1, &fresh, 1, 0.25);
  struct rf_buffer text = {0}, json = {0}, markdown = {0}, junit = {0};
  const struct rf_style style = {.width = 100};
  rf_comparison_text(&text, c, &style);
  rf_comparison_json(&json, c);
  rf_comparison_markdown(&markdown, c);
  rf_comparison_junit(&junit, c);
  const struct rf_buffer *const all[] = {&text, &json, &markdown, &junit};
  for (size_t i = 0; i < 4; i++) {
    cr_expect(!strchr(all[i]->bytes, '\033'));
    cr_expect(i == 0 || !strstr(all[i]->bytes, "<b>"));
  }
  cr_expect(strstr(markdown.bytes, "\\|\\`x\\`"));
  cr_expect(strstr(junit.bytes, "failures=\"1\"") && strstr(junit.bytes, "<failure message="));
  json_t *document = json_loadb(json.bytes, json.length, JSON_REJECT_DUPLICATES, NULL);
  cr_assert(document);
  cr_expect_eq(json_integer_value(json_object_get(document, "regressed")), 1);
  json_decref(document);
  rf_buffer_free(&text);
  rf_buffer_free(&json);
  rf_buffer_free(&markdown);
  rf_buffer_free(&junit);
  rf_comparison_free(c);
  rf_report_free(base);
  rf_report_free(fresh);
}
