/* What ran, where, and with which options. */
#include <stdio.h>
#include <string.h>

#include "report/json_parts.h"

/* A text that may be unknown. */
static void put_text(const struct rf_json_scope *scope, const char *key, const char *text) {
  if (*text)
    rf_json_text(scope->json, key, text);
  else
    rf_json_put(scope, key, NAN);
}

void rf_json_environment(struct rf_json *json, struct rf_report *report) {
  struct rf_json_scope scope = {json, report, "environment", "not recorded"};
  rf_json_open(json, "environment", '{');
  rf_json_text(json, "hostname", report->hostname);
  rf_json_text(json, "kernel", report->kernel);
  rf_json_text(json, "cpu_model", report->cpu_model);
  rf_json_put(&scope, "cpu_count", report->cpu_count);
  rf_json_put(&scope, "memory_bytes", report->memory_bytes);
  rf_json_open_flat(json, "gpus", '[');
  for (size_t i = 0; i < report->system.gpus; i++) rf_json_text(json, NULL, report->system.gpu[i].name);
  rf_json_close(json, ']');
  rf_json_text(json, "refunc_version", report->refunc_version);
  put_text(&scope, "os", report->os);
  put_text(&scope, "libc_version", report->libc_version);
  rf_json_put(&scope, "cpu_limit", report->cpu_limit);
  rf_json_put(&scope, "cpu_max_hz", report->cpu_max_hz);
  put_text(&scope, "cpu_governor", report->cpu_governor);
  put_text(&scope, "transparent_huge_pages", report->transparent_huge_pages);
  if (*report->virtual_machine)
    rf_json_bool(json, "virtual_machine", strcmp(report->virtual_machine, "yes") == 0);
  else
    rf_json_put(&scope, "virtual_machine", NAN);
  rf_json_put(&scope, "load_1m", report->load_1m);
  rf_json_close(json, '}');
}

static void put_process(struct rf_json *json, struct rf_report *report, const char *key, const char *path,
                        const struct rf_report_process *p) {
  struct rf_json_scope scope = {json, report, path, "not recorded"};
  char exit_path[64];
  snprintf(exit_path, sizeof exit_path, "%s.exit", path);
  struct rf_json_scope exit = {json, report, exit_path,
                               p->alive ? "the process still runs" : "the process ended without a word"};
  rf_json_open(json, key, '{');
  rf_json_count(json, "pid", p->pid);
  rf_json_count(json, "ppid", p->ppid);
  rf_json_text(json, "exe", p->exe);
  rf_json_open_flat(json, "argv", '[');
  for (size_t i = 0; i < p->argc; i++) rf_json_text(json, NULL, p->argv[i]);
  rf_json_close(json, ']');
  rf_json_text(json, "start_time", p->start_time);
  rf_json_put(&scope, "threads_max", p->threads_max);
  rf_json_put(&scope, "duration_s", p->duration_s);
  rf_json_open_flat(json, "exit", '{');
  rf_json_text(json, "kind", p->exit_kind);
  rf_json_put(&exit, "code", p->exit_code);
  rf_json_close(json, '}');
  rf_json_put(&scope, "heap_peak_bytes", p->heap_peak_bytes);
  rf_json_put(&scope, "peak_rss_bytes", p->peak_rss_bytes);
  rf_json_text(json, "recording", p->path);
  rf_json_close(json, '}');
}

void rf_json_processes(struct rf_json *json, struct rf_report *report) {
  static const struct rf_report_process none = {.exe = "",
                                                .start_time = "",
                                                .exit_kind = "lost",
                                                .path = "",
                                                .threads_max = NAN,
                                                .duration_s = NAN,
                                                .exit_code = NAN,
                                                .heap_peak_bytes = NAN,
                                                .peak_rss_bytes = NAN};
  put_process(json, report, "process", "process", report->processes ? &report->process[0] : &none);
  rf_json_open(json, "processes", '[');
  for (size_t i = 0; i < report->processes; i++)
    put_process(json, report, NULL, i ? "processes[]" : "process", &report->process[i]);
  rf_json_close(json, ']');
}

void rf_json_options(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "options", '{');
  for (size_t i = 0; i < report->options; i++) {
    rf_json_open_flat(json, report->option[i].key, '{');
    rf_json_text(json, "value", report->option[i].value);
    rf_json_text(json, "origin", report->option[i].origin);
    rf_json_close(json, '}');
  }
  rf_json_close(json, '}');
}
