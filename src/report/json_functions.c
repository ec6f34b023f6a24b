/* What was timed, or why not. */
#include <string.h>

#include "report/json_parts.h"

static void put_histogram(struct rf_json *json, const struct rf_report_function *f) {
  rf_json_open_flat(json, "histogram", '[');
  for (size_t i = 0; i < f->buckets; i++) {
    rf_json_open_flat(json, NULL, '[');
    rf_json_number(json, NULL, f->bucket[i].upper_s);
    rf_json_count(json, NULL, f->bucket[i].count);
    rf_json_close(json, ']');
  }
  rf_json_close(json, ']');
}

static void put_function_heap(struct rf_json *json, struct rf_report *report,
                              const struct rf_report_function *f) {
  struct rf_json_scope none = {json, report, "functions[]", "heap.per_function is off for this function"};
  struct rf_json_scope scope = {json, report, "functions[].heap", "no call was timed"};
  if (!f->has_heap) {
    rf_json_put_null(&none, "heap");
    return;
  }
  rf_json_open(json, "heap", '{');
  rf_json_put(&scope, "alloc_calls", f->heap.alloc_calls);
  rf_json_put(&scope, "requested_bytes", f->heap.requested_bytes);
  rf_json_put(&scope, "alloc_bytes", f->heap.alloc_bytes);
  rf_json_put(&scope, "free_bytes", f->heap.free_bytes);
  rf_json_put(&scope, "net_bytes", f->heap.net_bytes);
  rf_json_put(&scope, "peak_bytes", f->heap.peak_bytes);
  rf_json_bool(json, "peak_is_lower_bound", rf_function_sampled(f));
  rf_json_close(json, '}');
}

static void put_function_system(struct rf_json *json, struct rf_report *report,
                                const struct rf_report_function *f) {
  struct rf_json_scope none = {json, report, "functions[]", "system.per_function is off for this function"};
  struct rf_json_scope scope = {json, report, "functions[].system", "not measured for this function"};
  struct rf_json_scope cpu = {json, report, "functions[].system",
                              "too short for the CPU clock, or never called"};
  if (!f->has_system) {
    rf_json_put_null(&none, "system");
    return;
  }
  rf_json_open(json, "system", '{');
  rf_json_put(&cpu, "cpu_ratio", f->system.cpu_ratio);
  struct rf_json_scope rss = {json, report, "functions[].system",
                              "the sampler did not look, and no call raised the process's peak"};
  rf_json_put(&rss, "peak_rss_bytes", f->system.peak_rss_bytes);
  rf_json_put(&scope, "faults", f->system.faults);
  rf_json_put(&scope, "switches", f->system.switches);
  rf_json_put(&scope, "read_bytes", f->system.read_bytes);
  rf_json_put(&scope, "write_bytes", f->system.write_bytes);
  struct rf_json_scope network = {json, report, "functions[].system", "system.network is off"};
  bool counted = strcmp(rf_report_option(report, "system.network"), "off") != 0;
  rf_json_put(&network, "sent_bytes", counted ? f->system.sent_bytes : NAN);
  rf_json_put(&network, "received_bytes", counted ? f->system.received_bytes : NAN);
  struct rf_json_scope gpu = {json, report, "functions[].system",
                              report->system.gpus ? "the sampler looked at no GPU while it ran"
                                                  : "no GPU was seen"};
  rf_json_put(&gpu, "gpu_ratio", f->system.gpu_ratio);
  rf_json_close(json, '}');
}

static void put_times(const struct rf_json_scope *scope, const struct rf_report_function *f) {
  const struct {
    const char *key;
    double value;
  } times[] = {{"total_s", f->total_s},   {"self_s", f->self_s}, {"mean_s", f->mean_s},
               {"stddev_s", f->stddev_s}, {"min_s", f->min_s},   {"max_s", f->max_s},
               {"p50_s", f->p50_s},       {"p90_s", f->p90_s},   {"p95_s", f->p95_s},
               {"p99_s", f->p99_s},       {"p999_s", f->p999_s}, {"ci95_ratio", f->ci95_ratio}};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) rf_json_put(scope, times[i].key, times[i].value);
}

static void put_lines(struct rf_json *json, const char *key, const char *lines) {
  char name[4096];
  rf_json_open_flat(json, key, '[');
  while (*lines) {
    size_t length = strcspn(lines, "\n"), kept = length < sizeof name ? length : sizeof name - 1;
    memcpy(name, lines, kept);
    name[kept] = 0;
    rf_json_text(json, NULL, name);
    lines += length + (lines[length] == '\n');
  }
  rf_json_close(json, ']');
}

static void put_function(struct rf_json *json, struct rf_report *report, const struct rf_report_function *f,
                         const struct rf_report_span *span) {
  const char *reason = f->calls == 0 ? "a function that was never called has no durations"
                                     : "no timed call of this function has ended";
  struct rf_json_scope scope = {json, report, "functions[]", reason};
  rf_json_open(json, NULL, '{');
  rf_json_text(json, "name", f->name);
  rf_json_text(json, "module", f->module);
  put_lines(json, "aliases", f->aliases ? f->aliases : "");
  rf_json_count(json, "calls", f->calls);
  rf_json_count(json, "timed_calls", f->timed_calls);
  rf_json_text(json, "mode", f->mode);
  if (!span) rf_json_text(json, "entry", f->is_block ? "block" : f->by_slots ? "slots" : "code");
  put_times(&scope, f);
  rf_json_count(json, "threads", f->threads);
  rf_json_count(json, "unwound", f->unwound);
  rf_json_count(json, "open", f->open);
  put_histogram(json, f);
  put_function_heap(json, report, f);
  put_function_system(json, report, f);
  rf_json_kept(json, report, f);
  rf_json_count(json, "violations", f->violations);
  if (span) rf_json_span(json, span);
  rf_json_close(json, '}');
}

void rf_json_functions(struct rf_json *json, struct rf_report *report) {
  rf_json_open(json, "functions", '[');
  for (size_t i = 0; i < report->functions; i++) put_function(json, report, &report->function[i], NULL);
  rf_json_close(json, ']');
  rf_json_open(json, "edges", '[');
  for (size_t i = 0; i < report->edges; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "caller", report->function[report->edge[i].caller].name);
    rf_json_text(json, "callee", report->function[report->edge[i].callee].name);
    rf_json_count(json, "calls", report->edge[i].calls);
    rf_json_number(json, "total_s", report->edge[i].total_s);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

void rf_json_spans(struct rf_json *json, struct rf_report *report) {
  const struct rf_report *spans = report->spans;
  rf_json_open(json, "spans", '[');
  for (size_t i = 0; spans && i < spans->functions; i++)
    put_function(json, report, &spans->function[i], &spans->span[i]);
  rf_json_close(json, ']');
}

void rf_json_skipped(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "skipped", '[');
  for (size_t i = 0; i < report->skips; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "name", report->skipped[i].name);
    rf_json_text(json, "module", report->skipped[i].module);
    rf_json_text(json, "reason", report->skipped[i].reason);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

void rf_json_unmatched(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "unmatched", '[');
  for (size_t i = 0; i < report->unmatches; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "pattern", report->unmatched[i].pattern);
    rf_json_text(json, "reason", *report->unmatched[i].reason ? report->unmatched[i].reason : "none");
    put_lines(json, "nearest", report->unmatched[i].nearest);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}
