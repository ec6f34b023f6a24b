/* Reads a report that was written as JSON. Unknown keys are passed over (the schema only ever grows). */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "report/load.h"

static double number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  double read = json_is_number(value) ? json_number_value(value) : NAN;
  return isfinite(read) ? read : NAN;
}

static uint64_t count(const json_t *object, const char *key) {
  double value = number(object, key);
  return value > 0 && value < 18446744073709549568.0 ? (uint64_t)value : 0;
}

static const char *text(struct rf_report *report, const json_t *object, const char *key) {
  return rf_arena_text(report->arena, json_string_value(json_object_get(object, key)));
}

static void load_function(struct rf_report *report, const json_t *object) {
  struct rf_report_function *f =
      rf_arena_push(report->arena, &report->function, report->functions++, sizeof *f);
  *f = (struct rf_report_function){.name = text(report, object, "name"),
                                   .module = text(report, object, "module"),
                                   .mode = text(report, object, "mode"),
                                   .calls = count(object, "calls"),
                                   .timed_calls = count(object, "timed_calls"),
                                   .unwound = count(object, "unwound"),
                                   .open = count(object, "open"),
                                   .threads = count(object, "threads"),
                                   .violations = count(object, "violations"),
                                   .total_s = number(object, "total_s"),
                                   .self_s = number(object, "self_s"),
                                   .mean_s = number(object, "mean_s"),
                                   .stddev_s = number(object, "stddev_s"),
                                   .min_s = number(object, "min_s"),
                                   .max_s = number(object, "max_s"),
                                   .p50_s = number(object, "p50_s"),
                                   .p90_s = number(object, "p90_s"),
                                   .p95_s = number(object, "p95_s"),
                                   .p99_s = number(object, "p99_s"),
                                   .p999_s = number(object, "p999_s"),
                                   .ci95_ratio = number(object, "ci95_ratio")};
}

static void load_heap(struct rf_report *report, const json_t *object) {
  struct rf_report_heap *h = &report->heap;
  h->mode = text(report, object, "mode");
  h->alloc_calls = number(object, "alloc_calls");
  h->free_calls = number(object, "free_calls");
  h->requested_bytes = number(object, "requested_bytes");
  h->alloc_bytes = number(object, "alloc_bytes");
  h->free_bytes = number(object, "free_bytes");
  h->live_bytes = number(object, "live_bytes");
  h->live_blocks = number(object, "live_blocks");
  h->peak_bytes = number(object, "peak_bytes");
  h->peak_rss_bytes = number(object, "peak_rss_bytes");
}

static void load_process(struct rf_report *report, const json_t *object) {
  struct rf_report_process *p =
      rf_arena_push(report->arena, &report->process, report->processes++, sizeof *p);
  *p = (struct rf_report_process){.exe = text(report, object, "exe"),
                                  .cwd = "",
                                  .boot_id = "",
                                  .path = text(report, object, "recording"),
                                  .start_time = text(report, object, "start_time"),
                                  .exit_kind = text(report, json_object_get(object, "exit"), "kind"),
                                  .exit_code = number(json_object_get(object, "exit"), "code"),
                                  .pid = (uint32_t)count(object, "pid"),
                                  .ppid = (uint32_t)count(object, "ppid"),
                                  .threads_max = number(object, "threads_max"),
                                  .duration_s = number(object, "duration_s"),
                                  .heap_peak_bytes = number(object, "heap_peak_bytes"),
                                  .peak_rss_bytes = number(object, "peak_rss_bytes"),
                                  .is_root = true};
}

static void load_environment(struct rf_report *report, const json_t *object) {
  report->hostname = text(report, object, "hostname");
  report->kernel = text(report, object, "kernel");
  report->cpu_model = text(report, object, "cpu_model");
  report->refunc_version = text(report, object, "refunc_version");
  report->cpu_count = number(object, "cpu_count");
  report->memory_bytes = number(object, "memory_bytes");
  report->os = text(report, object, "os");
  report->libc_version = text(report, object, "libc_version");
  report->cpu_governor = text(report, object, "cpu_governor");
  report->transparent_huge_pages = text(report, object, "transparent_huge_pages");
  const json_t *virtual_machine = json_object_get(object, "virtual_machine");
  if (json_is_boolean(virtual_machine))
    report->virtual_machine = json_is_true(virtual_machine) ? "yes" : "no";
  report->cpu_limit = number(object, "cpu_limit");
  report->cpu_max_hz = number(object, "cpu_max_hz");
  report->load_1m = number(object, "load_1m");
}

static struct rf_report *load_document(const json_t *document, const char *name, char *error,
                                       size_t error_bytes) {
  const char *schema = json_string_value(json_object_get(document, "schema"));
  if (!schema || strncmp(schema, "refunc-report/", 14) != 0) {
    snprintf(error, error_bytes,
             "%s: JSON, but not a report of Refunc (its \"schema\" would be \"refunc-report/1\")", name);
    return NULL;
  }
  if (strcmp(schema, "refunc-report/1") != 0) {
    snprintf(error, error_bytes, "%s: schema %.60s is not known here; this refunc reads refunc-report/1",
             name, schema);
    return NULL;
  }
  const json_t *functions = json_object_get(document, "functions");
  if (!json_is_array(functions)) {
    snprintf(error, error_bytes, "%s: \"functions\" is not an array", name);
    return NULL;
  }
  struct rf_report *report = rf_report_new();
  load_environment(report, json_object_get(document, "environment"));
  load_process(report, json_object_get(document, "process"));
  for (size_t i = 0; i < json_array_size(functions); i++) load_function(report, json_array_get(functions, i));
  load_heap(report, json_object_get(document, "heap"));
  return report;
}

struct rf_report *rf_json_load(const char *bytes, size_t length, const char *name, char *error,
                               size_t error_bytes) {
  json_error_t problem;
  json_t *document = json_loadb(bytes, length, JSON_DECODE_INT_AS_REAL, &problem);
  if (!document) {
    snprintf(error, error_bytes, "%s:%d:%d: not JSON: %s", name, problem.line, problem.column, problem.text);
    return NULL;
  }
  struct rf_report *report = load_document(document, name, error, error_bytes);
  json_decref(document);
  return report;
}
