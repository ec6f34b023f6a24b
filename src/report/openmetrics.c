/* Metric families may not be interleaved, so each family walks over all reports. */
#include "report/openmetrics.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct output {
  struct rf_buffer *out;
  struct rf_report *const *reports;
  size_t count;
};

/* Label values: backslash, quote and newline are escaped by the format; other control characters become
 * blanks. */
static void add_label(struct rf_buffer *out, const char *key, const char *value, bool first) {
  rf_buffer_printf(out, "%s%s=\"", first ? "" : ",", key);
  for (; *value; value++) {
    if (*value == '\\' || *value == '"')
      rf_buffer_printf(out, "\\%c", *value);
    else if (*value == '\n')
      rf_buffer_text(out, "\\n");
    else
      rf_buffer_char(out, (unsigned char)*value < 0x20 || *value == 0x7f ? ' ' : *value);
  }
  rf_buffer_char(out, '"');
}

static void add_family(struct rf_buffer *out, const char *name, const char *type, const char *unit,
                       const char *help) {
  rf_buffer_printf(out, "# TYPE %s %s\n", name, type);
  if (*unit) rf_buffer_printf(out, "# UNIT %s %s\n", name, unit);
  rf_buffer_printf(out, "# HELP %s %s\n", name, help);
}

static void add_process_labels(struct rf_buffer *out, const struct rf_report *report) {
  char pid[16];
  snprintf(pid, sizeof pid, "%u", report->processes ? report->process[0].pid : 0);
  add_label(out, "pid", pid, true);
}

static void add_function_labels(struct rf_buffer *out, const struct rf_report *report,
                                const struct rf_report_function *f) {
  add_process_labels(out, report);
  add_label(out, "function", f->name, false);
  add_label(out, "module", f->module, false);
}

static void add_calls(const struct output *o) {
  add_family(o->out, "refunc_calls", "counter", "", "Calls of a function.");
  for (size_t r = 0; r < o->count; r++)
    for (size_t i = 0; i < o->reports[r]->functions; i++) {
      rf_buffer_text(o->out, "refunc_calls_total{");
      add_function_labels(o->out, o->reports[r], &o->reports[r]->function[i]);
      rf_buffer_printf(o->out, "} %llu\n", (unsigned long long)o->reports[r]->function[i].calls);
    }
}

static void add_summary(struct rf_buffer *out, const struct rf_report *report,
                        const struct rf_report_function *f) {
  const struct {
    const char *q;
    double value;
  } quantiles[] = {
      {"0.5", f->p50_s}, {"0.9", f->p90_s}, {"0.95", f->p95_s}, {"0.99", f->p99_s}, {"0.999", f->p999_s}};
  for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
    if (!isfinite(quantiles[i].value)) continue;
    rf_buffer_text(out, "refunc_duration_seconds{");
    add_function_labels(out, report, f);
    rf_buffer_printf(out, ",quantile=\"%s\"} %.9g\n", quantiles[i].q, quantiles[i].value);
  }
  rf_buffer_text(out, "refunc_duration_seconds_count{");
  add_function_labels(out, report, f);
  rf_buffer_printf(out, "} %llu\n", (unsigned long long)f->timed_calls);
  if (!isfinite(f->mean_s)) return;
  rf_buffer_text(out, "refunc_duration_seconds_sum{");
  add_function_labels(out, report, f);
  rf_buffer_printf(out, "} %.9g\n", f->mean_s * (double)f->timed_calls);
}

static void add_durations(const struct output *o) {
  add_family(o->out, "refunc_duration_seconds", "summary", "seconds", "Durations of the timed calls.");
  for (size_t r = 0; r < o->count; r++)
    for (size_t i = 0; i < o->reports[r]->functions; i++)
      add_summary(o->out, o->reports[r], &o->reports[r]->function[i]);
}

struct process_metric {
  const char *name, *type, *unit, *help;
  size_t offset;
};

static const struct process_metric process_metrics[] = {
#define METRIC(name, type, unit, help, field)                                                                \
  { name, type, unit, help, offsetof(struct rf_report, field) }
    METRIC("refunc_heap_allocations", "counter", "", "Successful allocations.", heap.alloc_calls),
    METRIC("refunc_heap_requested_bytes", "counter", "bytes", "Bytes asked for.", heap.requested_bytes),
    METRIC("refunc_heap_allocated_bytes", "counter", "bytes", "Bytes handed out.", heap.alloc_bytes),
    METRIC("refunc_heap_live_bytes", "gauge", "bytes", "Bytes live at the end.", heap.live_bytes),
    METRIC("refunc_heap_peak_bytes", "gauge", "bytes", "Most bytes live at once.", heap.peak_bytes),
    METRIC("refunc_rss_peak_bytes", "gauge", "bytes", "Highest resident set.", heap.peak_rss_bytes),
    METRIC("refunc_cpu_user_seconds", "counter", "seconds", "CPU time in user mode.", system.user_s),
    METRIC("refunc_cpu_system_seconds", "counter", "seconds", "CPU time in the kernel.", system.sys_s),
    METRIC("refunc_storage_read_bytes", "counter", "bytes", "Bytes read from storage.", system.read_bytes),
    METRIC("refunc_storage_written_bytes", "counter", "bytes", "Bytes written to storage.",
           system.write_bytes),
    METRIC("refunc_network_sent_bytes", "counter", "bytes", "Bytes sent by the process.", system.sent_bytes),
    METRIC("refunc_network_received_bytes", "counter", "bytes", "Bytes received by the process.",
           system.received_bytes),
    METRIC("refunc_overhead_seconds", "counter", "seconds", "What Refunc itself cost.", self.overhead_s),
#undef METRIC
};

static void add_process_metric(const struct output *o, const struct process_metric *metric) {
  add_family(o->out, metric->name, metric->type, metric->unit, metric->help);
  for (size_t r = 0; r < o->count; r++) {
    double value = *(const double *)(const void *)((const char *)o->reports[r] + metric->offset);
    if (!isfinite(value)) continue;
    rf_buffer_printf(o->out, "%s%s{", metric->name, strcmp(metric->type, "counter") == 0 ? "_total" : "");
    add_process_labels(o->out, o->reports[r]);
    rf_buffer_printf(o->out, "} %.17g\n", value);
  }
}

void rf_openmetrics_report(struct rf_buffer *out, struct rf_report *const *reports, size_t count) {
  struct output o = {out, reports, count};
  add_calls(&o);
  add_durations(&o);
  for (size_t i = 0; i < sizeof process_metrics / sizeof *process_metrics; i++)
    add_process_metric(&o, &process_metrics[i]);
  rf_buffer_text(out, "# EOF\n");
}
