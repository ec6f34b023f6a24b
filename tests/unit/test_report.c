/* The report's model and its forms, from recordings made by hand. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recording/reader.h"
#include "recording_fixture.h"
#include "report/csv.h"
#include "report/json.h"
#include "report/load.h"
#include "report/openmetrics.h"
#include "report/sites.h"
#include "report/text.h"

static struct rf_report *report_of(struct fixture *const *fixtures, size_t count) {
  struct rf_reader *readers[8];
  for (size_t i = 0; i < count; i++) {
    char path[] = "/tmp/refunc-report-XXXXXX", error[512] = "";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
    fixture_write(fixtures[i], path, 0);
    readers[i] = rf_reader_open(path, error, sizeof error);
    unlink(path);
    cr_assert(readers[i], "%s", error);
  }
  struct rf_report *report = rf_report_build(readers, count);
  for (size_t i = 0; i < count; i++) rf_reader_close(readers[i]);
  return report;
}

static struct rf_report *report_one(struct fixture *f) { return report_of(&f, 1); }

static const struct rf_report_function *find(const struct rf_report *report, const char *name) {
  for (size_t i = 0; i < report->functions; i++)
    if (strcmp(report->function[i].name, name) == 0) return &report->function[i];
  cr_assert_fail("no function %s", name);
  return NULL;
}

#define NEAR(actual, expected) cr_expect_float_eq(actual, expected, 1e-14 + 1e-9 * fabs((double)(expected)))

/* --- sampled sites --- */

/* In how many of all cases the interval covers what count blocks of bytes each really are, by the binomial
 * law of how many of them were sampled. Where none was there is no site; documented is then 3.7 times the
 * mean distance. */
static double coverage(unsigned count, double bytes, double distance) {
  double p = -expm1(-bytes / distance), truth = count * bytes, covered = 0;
  for (unsigned k = 0; k <= count; k++) {
    double chance = exp(lgamma(count + 1.0) - lgamma(k + 1.0) - lgamma(count - k + 1.0) + k * log(p) +
                        (count - k) * log1p(-p));
    struct rf_report_site site = {.alloc_calls = k / p,
                                  .alloc_bytes = k * bytes / p,
                                  .variance_bytes = k * (1 - p) * (bytes / p) * (bytes / p)};
    double low, high;
    rf_site_interval(&site, &low, &high);
    if (!k) high = 3.7 * distance;
    if (low <= truth && truth <= high) covered += chance;
  }
  return covered;
}

Test(report, intervals_of_sampled_sites_cover_the_truth) {
  const double distance = 32768;
  for (double bytes = 16; bytes <= 400000; bytes *= 1.7)
    for (double samples = 0.5; samples < 200; samples *= 1.37) {
      double p = -expm1(-bytes / distance);
      unsigned count = (unsigned)(samples / p);
      if (count < 1 || count > 20000) continue;
      double covered = coverage(count, bytes, distance);
      cr_expect(covered > 0.93, "%u blocks of %g bytes: covered in %.1f%%", count, bytes, covered * 100);
    }
  struct rf_report_site exact = {.alloc_bytes = 12345};
  double low, high;
  rf_site_interval(&exact, &low, &high);
  cr_expect(low == 12345 && high == 12345);
}

/* --- durations --- */

Test(report, the_probes_cost_is_taken_out) {
  struct fixture f = fixture_new();
  f.header->probe_inside_cycles = 40;
  f.header->probe_outside_cycles = 25;
  struct rf_thread_entry *thread = fixture_thread(&f);
  struct rf_slot *caller = fixture_slot(&f, thread, fixture_function(&f, "caller", "app", 0x10, 0));
  struct rf_slot *callee = fixture_slot(&f, thread, fixture_function(&f, "callee", "app", 0x20, 0));
  fixture_call(&f, caller, 10000);
  for (int i = 0; i < 10; i++) fixture_call(&f, callee, i == 0 ? 30 : 500);
  caller->sum_self = 10000 - callee->sum;
  caller->sum_children = 10 * 25; /* what the probes of its callees cost it */
  struct rf_report *report = report_one(&f);
  NEAR(find(report, "caller")->total_s, (10000 - 40) * 1e-9);
  NEAR(find(report, "caller")->self_s, (10000 - 30 - 9 * 500 - 40 - 10 * 25) * 1e-9);
  NEAR(find(report, "callee")->total_s, (30 + 9 * 500 - 10 * 40) * 1e-9);
  NEAR(find(report, "callee")->min_s, 0); /* 30 cycles, of which the probe is said to be 40 */
  NEAR(find(report, "callee")->max_s, 460e-9);
  cr_expect_str_eq(report->function[0].name, "caller");
  rf_report_free(report);
  fixture_free(&f);
}

Test(report, counted_calls_weigh_what_was_timed) {
  struct fixture f = fixture_new();
  struct rf_thread_entry *thread = fixture_thread(&f), *other = fixture_thread(&f);
  uint32_t hot = fixture_function(&f, "hot", "app", 0x10, 0),
           cold = fixture_function(&f, "cold", "app", 0x20, 0);
  struct rf_slot *a = fixture_slot(&f, thread, hot), *b = fixture_slot(&f, thread, cold);
  struct rf_slot *c = fixture_slot(&f, other, cold);
  for (int i = 0; i < 100; i++) fixture_call(&f, a, 1000 + (i % 2) * 200);
  a->counted = 900;
  fixture_call(&f, b, 5000000);
  fixture_call(&f, c, 2000);
  a->lost_children = 50000000;
  struct rf_report *report = report_one(&f);
  const struct rf_report_function *h = find(report, "hot"), *k = find(report, "cold");
  cr_expect_eq(h->calls, 1000);
  cr_expect_eq(h->timed_calls, 100);
  NEAR(h->total_s, 1000 * 1100e-9);
  cr_expect(isnan(h->self_s), "its share of what was lost is not known");
  NEAR(h->mean_s, 1100e-9);
  double expected = 1.96 * h->stddev_s / h->mean_s / sqrt(100) * sqrt(0.9);
  NEAR(h->ci95_ratio, expected);
  cr_expect(isnan(k->self_s), "what hot's counted calls took of cold's self time is not known");
  NEAR(k->total_s, 5002000e-9);
  cr_expect(rf_report_reason(report, "functions[].self_s") != NULL);
  rf_report_free(report);
  fixture_free(&f);
}

Test(report, recursion_counts_once_and_open_calls_show) {
  struct fixture f = fixture_new();
  struct rf_slot *slot = fixture_slot(&f, fixture_thread(&f), fixture_function(&f, "walk", "app", 0x10, 0));
  fixture_call(&f, slot, 1000);
  fixture_call(&f, slot, 600);
  slot->sum_outer = 1000;
  slot->sum_self = 1000;
  slot->entered += 2;
  slot->depth = 1;
  slot->unwound = 1;
  struct rf_report *report = report_one(&f);
  const struct rf_report_function *w = find(report, "walk");
  NEAR(w->total_s, 1000e-9);
  NEAR(w->mean_s, 800e-9);
  cr_expect_eq(w->calls, 4);
  cr_expect_eq(w->open, 1);
  cr_expect_eq(w->unwound, 1);
  rf_report_free(report);
  fixture_free(&f);
}

Test(report, clock_modes_in_nanoseconds) {
  struct fixture f = fixture_new();
  f.header->cycles_per_second = 3e9;
  struct rf_slot *slot = fixture_slot(&f, fixture_thread(&f), fixture_function(&f, "f", "app", 0x10, 0));
  fixture_call(&f, slot, 3000);
  struct rf_report *cycles = report_one(&f);
  NEAR(cycles->function[0].total_s, 1e-6);
  struct rf_chunk *chunk = (struct rf_chunk *)(f.bytes + f.header->root[RF_TABLE_FUNCTION]);
  ((struct rf_function_entry *)(chunk + 1))->mode = RF_CLOCK_THREAD;
  struct rf_report *ns = report_one(&f);
  NEAR(ns->function[0].total_s, 3e-6);
  cr_expect_str_eq(ns->function[0].mode, "thread_time");
  rf_report_free(cycles);
  rf_report_free(ns);
  fixture_free(&f);
}

/* --- merging --- */

static struct fixture one_process(uint32_t pid, bool root, double hertz, uint64_t cycles, int calls) {
  struct fixture f = fixture_new();
  f.header->pid = pid;
  f.header->is_root = root;
  f.header->cycles_per_second = hertz;
  f.header->heap_peak_bytes = 1000 * pid;
  struct rf_thread_entry *thread = fixture_thread(&f);
  thread->heap.alloc_calls = pid;
  thread->heap.alloc_bytes = 100 * pid;
  thread->heap.free_bytes = 40 * pid;
  fixture_function(&f, root ? "main_only" : "child_only", "app", 0x99, 0);
  struct rf_slot *slot = fixture_slot(&f, thread, fixture_function(&f, "shared", "libx.so", 0x40, 0));
  for (int i = 0; i < calls; i++) fixture_call(&f, slot, cycles);
  fixture_unmatched(&f, "never", "none", "");
  if (root) fixture_unmatched(&f, "only_in_child", "none", "");
  fixture_skipped(&f, "tiny", "libx.so", "too short");
  return f;
}

Test(report, processes_merge_by_build_id_and_offset) {
  struct fixture child = one_process(7, false, 2e9, 4000, 3), root = one_process(5, true, 1e9, 1000, 1);
  struct fixture *both[] = {&child, &root};
  struct rf_report *report = report_of(both, 2);
  const struct rf_report_function *f = find(report, "shared");
  cr_expect_eq(report->processes, 2);
  cr_expect_eq(report->process[0].pid, 5, "the root comes first");
  cr_expect_eq(f->calls, 4);
  NEAR(f->total_s, 1e-6 + 3 * 2e-6);
  NEAR(f->max_s, 2e-6);
  NEAR(f->min_s, 1e-6);
  NEAR(f->stddev_s, 0.5e-6);
  cr_expect(fabs(f->p50_s - 2e-6) < 2e-6 / 64);
  NEAR(report->heap.alloc_calls, 12);
  NEAR(report->heap.live_bytes, 720);
  NEAR(report->heap.peak_bytes, 12000); /* the sum of the processes' own */
  NEAR(report->process[0].heap_peak_bytes, 5000);
  cr_expect_eq(report->skips, 1, "what both skip is listed once");
  cr_assert_eq(report->unmatches, 1, "a pattern that one process matched is matched");
  cr_expect_str_eq(report->unmatched[0].pattern, "never");
  rf_report_free(report);
  fixture_free(&child);
  fixture_free(&root);
}

/* --- the heap --- */

Test(report, heap_peak_and_live) {
  struct fixture f = fixture_new();
  struct rf_thread_entry *thread = fixture_thread(&f);
  f.header->heap_folded_bytes = 70000;
  f.header->heap_peak_bytes = 80000;
  thread->heap_folded = 70000;
  thread->heap_high = 85000;
  thread->heap.alloc_bytes = 170500;
  thread->heap.free_bytes = 100000;
  thread->heap.alloc_calls = 10;
  thread->heap.free_calls = 12; /* frees of blocks older than the recording */
  struct rf_report *report = report_one(&f);
  NEAR(report->heap.peak_bytes, 85000);
  NEAR(report->heap.live_bytes, 70500);
  NEAR(report->heap.live_blocks, 0);
  rf_report_free(report);
  fixture_free(&f);
}

/* --- what every form has to survive --- */

static const char hostile[] =
    "evil\033[2J\033]0;title\007\r\n<script>alert(\"1\")</script>\xff\xc0\x80\xe2\x80\xae"
    "\xc2\x9b"
    "31m,=cmd|'/c calc'!A0";

static struct fixture hostile_recording(void) {
  struct fixture f = fixture_new();
  static char huge[10001];
  memset(huge, 'x', sizeof huge - 1);
  memcpy(huge, "std::map<", 9);
  fixture_fact(&f, "hostname", hostile);
  fixture_fact(&f, "exe", hostile);
  fixture_fact(&f, "argv", hostile);
  fixture_fact(&f, "cpu_model", hostile);
  fixture_option(&f, hostile, hostile, hostile);
  struct rf_thread_entry *thread = fixture_thread(&f);
  const char *const names[] = {hostile,
                               huge,
                               "",
                               "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6"
                               "\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc"
                               "\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97",
                               "a\xcc\x81",
                               "operator<<",
                               "f(((((("};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    struct rf_slot *slot = fixture_slot(
        &f, thread, fixture_function(&f, names[i], hostile, 16 * i, RF_FUNCTION_HEAP | RF_FUNCTION_SYSTEM));
    for (int k = 0; k < 50; k++) fixture_call(&f, slot, (uint64_t)1 << (k % 48));
    slot->heap_alloc_calls = 5;
    struct rf_edge_entry edge = {0, (uint32_t)i, 0, 0, 5, 500};
    fixture_append(&f, &f.header->root[RF_TABLE_EDGE], RF_TABLE_EDGE, &edge, sizeof edge);
  }
  fixture_skipped(&f, hostile, hostile, hostile);
  fixture_skipped(&f, huge, hostile, huge);
  fixture_unmatched(&f, hostile, hostile, hostile);
  fixture_unmatched(&f, huge, "none", huge);
  thread->heap.alloc_calls = thread->heap.size_class[3] = UINT64_MAX / 2;
  return f;
}

/* Columns of a line by the terminal's own rule; fails on whatever a terminal would obey. */
static size_t columns_of(const char *line, size_t length, bool colour) {
  size_t columns = 0;
  mbstate_t state = {0};
  for (size_t i = 0; i < length;) {
    if (colour && line[i] == '\033') { /* only the plain colours of our own */
      size_t end = i + strcspn(line + i, "m");
      cr_assert(end - i <= 4 && line[i + 1] == '[');
      i = end + 1;
      continue;
    }
    wchar_t wide;
    size_t taken = mbrtowc(&wide, line + i, length - i, &state);
    cr_assert(taken != (size_t)-1 && taken != (size_t)-2 && taken != 0, "not UTF-8: %.*s", (int)length, line);
    cr_assert(wcwidth(wide) >= 0, "control character U+%04x", (unsigned)wide);
    cr_assert(wide != 0x202e && wide != 0x9b);
    columns += (size_t)wcwidth(wide);
    i += taken;
  }
  return columns;
}

static void check_lines(const struct rf_report *report, struct rf_style style) {
  struct rf_buffer out = {0};
  const struct rf_text_plan plan = {.style = style, .functions = 0};
  rf_text_report(&out, report, &plan);
  cr_assert(out.length && out.bytes[out.length - 1] == '\n');
  for (const char *at = out.bytes; *at;) {
    size_t length = strcspn(at, "\n");
    size_t columns = columns_of(at, length, style.colour);
    cr_expect(columns <= (size_t)style.width, "%zu columns of %d: %.*s", columns, style.width, (int)length,
              at);
    for (size_t i = 0; !style.unicode && i < length; i++) cr_assert((unsigned char)at[i] < 0x80);
    at += length + 1;
  }
  rf_buffer_free(&out);
}

Test(report, text_fits_and_hostile_names_reach_no_terminal) {
  cr_assert(setlocale(LC_CTYPE, "C.UTF-8"));
  struct fixture f = hostile_recording();
  struct rf_report *report = report_one(&f);
  for (int width = 60; width <= 120; width += 4)
    for (int how = 0; how < 4; how++)
      check_lines(report, (struct rf_style){.colour = how & 1, .unicode = how & 2, .width = width});
  rf_report_free(report);
  fixture_free(&f);
}

Test(report, an_empty_recording_has_a_report) {
  cr_assert(setlocale(LC_CTYPE, "C.UTF-8"));
  struct fixture f = fixture_new();
  struct rf_report *report = report_one(&f);
  check_lines(report, (struct rf_style){.unicode = true, .width = 100});
  struct rf_buffer out = {0};
  rf_json_report(&out, report);
  json_t *document = json_loadb(out.bytes, out.length, JSON_REJECT_DUPLICATES, NULL);
  cr_assert(document);
  cr_expect_eq(json_array_size(json_object_get(document, "functions")), 0);
  json_decref(document);
  rf_buffer_free(&out);
  rf_report_free(report);
  fixture_free(&f);
}

Test(report, hostile_names_are_escaped_in_json) {
  struct fixture f = hostile_recording();
  struct rf_report *report = report_one(&f);
  struct rf_buffer out = {0};
  rf_json_report(&out, report);
  for (size_t i = 0; i < out.length; i++) {
    unsigned char c = (unsigned char)out.bytes[i];
    cr_assert(c == '\n' || (c >= 0x20 && c != 0x7f), "control character %02x", c);
    cr_assert(c != '<' && c != '>', "markup");
  }
  cr_expect(!strstr(out.bytes, "\xe2\x80\xae") && !strstr(out.bytes, "\xc2\x9b"));
  json_error_t problem;
  json_t *document = json_loadb(out.bytes, out.length, JSON_REJECT_DUPLICATES, &problem);
  cr_assert(document, "%d: %s", problem.line, problem.text);
  json_decref(document);
  rf_buffer_free(&out);
  rf_report_free(report);
  fixture_free(&f);
}

static size_t count_of(const char *text, char wanted) {
  size_t count = 0;
  for (; *text; text++) count += *text == wanted;
  return count;
}

Test(report, csv_has_one_line_a_function_and_no_formulas) {
  struct fixture f = hostile_recording();
  struct rf_report *report = report_one(&f);
  struct rf_buffer out = {0};
  rf_csv_report(&out, report, true);
  cr_expect_eq(count_of(out.bytes, '\n'), 1 + report->functions);
  cr_expect(!strstr(out.bytes, "\033"));
  cr_expect(!strstr(out.bytes, "\"=") && !strstr(out.bytes, "\"-"));
  rf_buffer_free(&out);
  rf_report_free(report);
  fixture_free(&f);
}

Test(report, openmetrics_ends_and_has_no_broken_line) {
  struct fixture f = hostile_recording();
  struct rf_report *report = report_one(&f);
  struct rf_buffer out = {0};
  rf_openmetrics_report(&out, &report, 1);
  cr_expect(strstr(out.bytes, "\n# EOF\n"));
  for (const char *at = out.bytes; *at; at += strcspn(at, "\n") + 1)
    cr_expect(strncmp(at, "refunc_", 7) == 0 || strncmp(at, "# ", 2) == 0, "%.60s", at);
  rf_buffer_free(&out);
  rf_report_free(report);
  fixture_free(&f);
}

/* --- JSON and back --- */

Test(report, json_comes_back_as_it_was) {
  struct fixture f = one_process(5, true, 1e9, 1234567, 40);
  struct rf_report *report = report_one(&f);
  struct rf_buffer out = {0};
  char error[256] = "";
  rf_json_report(&out, report);
  struct rf_report *back = rf_json_load(out.bytes, out.length, "report.json", error, sizeof error);
  cr_assert(back, "%s", error);
  cr_assert_eq(back->functions, report->functions);
  const struct rf_report_function *a = find(report, "shared"), *b = find(back, "shared");
  cr_expect_eq(a->calls, b->calls);
  cr_expect_float_eq(a->mean_s, b->mean_s, a->mean_s * 1e-8);
  cr_expect_float_eq(a->p95_s, b->p95_s, a->p95_s * 1e-8);
  cr_expect_eq(report->heap.peak_bytes, back->heap.peak_bytes);
  cr_expect(isnan(find(back, "main_only")->mean_s), "null is unknown, not 0");
  rf_buffer_free(&out);
  rf_report_free(back);
  rf_report_free(report);
  fixture_free(&f);
}

static void expect_refused(const char *text, const char *part) {
  char error[512] = "";
  cr_expect_null(rf_json_load(text, strlen(text), "x.json", error, sizeof error));
  cr_expect(strstr(error, part) && strstr(error, "x.json"), "%s", error);
}

Test(report, json_that_is_no_report_is_refused) {
  expect_refused("", "not JSON");
  expect_refused("{", "not JSON");
  expect_refused("[]", "not a report");
  expect_refused("{\"schema\": \"other/1\"}", "not a report");
  expect_refused("{\"schema\": \"refunc-report/2\", \"functions\": []}", "refunc-report/2");
  expect_refused("{\"schema\": \"refunc-report/1\"}", "functions");
}

/* --- numbers for people --- */

Test(report, numbers_stay_short) {
  const struct rf_style style = {.unicode = false, .width = 100};
  cr_expect_str_eq(rf_show_duration(0.00123, &style), "1.23 ms");
  cr_expect_str_eq(rf_show_duration(999.6e-6, &style), "1.00 ms");
  cr_expect_str_eq(rf_show_duration(42e-9, &style), "42 ns");
  cr_expect_str_eq(rf_show_duration(272, &style), "4m 32s");
  cr_expect_str_eq(rf_show_duration(NAN, &style), "-");
  cr_expect_str_eq(rf_show_bytes(1023), "1.00 KiB");
  cr_expect_str_eq(rf_show_bytes(-4096), "-4.00 KiB");
  cr_expect_str_eq(rf_show_count(999999), "999999");
  cr_expect_str_eq(rf_show_count(1234567), "1.23M");
  for (double value = 1e-30; value < 1e300; value *= 7.3) {
    cr_expect_leq(strlen(rf_show_duration(value, &style)), 9, "%g", value);
    cr_expect_leq(strlen(rf_show_bytes(value)), 12, "%g", value);
    cr_expect_leq(strlen(rf_show_count(value)), 9, "%g", value);
  }
}
