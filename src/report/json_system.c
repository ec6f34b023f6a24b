/* What the sampler saw. */
#include <stdio.h>

#include "report/json_parts.h"

static void put_mean_max(struct rf_json *json, struct rf_report *report, const char *parent, const char *key,
                         double mean, double max) {
  char path[96];
  snprintf(path, sizeof path, "%s.%s", parent, key);
  struct rf_json_scope scope = {json, report, path, "not sampled"};
  rf_json_open_flat(json, key, '{');
  rf_json_put(&scope, "mean", mean);
  rf_json_put(&scope, "max", max);
  rf_json_close(json, '}');
}

static void put_cpu(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  struct rf_json_scope scope = {json, report, "system.cpu", "not measured"};
  struct rf_json_scope ratio = {json, report, "system.cpu.process_ratio", "not sampled"};
  rf_json_open(json, "cpu", '{');
  rf_json_open_flat(json, "process_ratio", '{');
  rf_json_put(&ratio, "mean", s->cpu_mean);
  rf_json_put(&ratio, "max", s->cpu_max);
  rf_json_put(&ratio, "p95", s->cpu_p95);
  rf_json_close(json, '}');
  put_mean_max(json, report, "system.cpu", "system_ratio", s->machine_mean, s->machine_max);
  rf_json_put(&scope, "throttled_s", s->throttled_s);
  rf_json_put(&scope, "user_s", s->user_s);
  rf_json_put(&scope, "sys_s", s->sys_s);
  rf_json_put(&scope, "voluntary_switches", s->voluntary_switches);
  rf_json_put(&scope, "involuntary_switches", s->involuntary_switches);
  rf_json_put(&scope, "run_delay_s", s->run_delay_s);
  rf_json_close(json, '}');
}

static void put_memory(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  struct rf_json_scope scope = {json, report, "system.memory", "not measured"};
  rf_json_open(json, "memory", '{');
  put_mean_max(json, report, "system.memory", "rss_bytes", s->rss_mean, s->rss_max);
  rf_json_put(&scope, "pss_bytes", s->pss_bytes);
  rf_json_put(&scope, "major_faults", s->major_faults);
  rf_json_put(&scope, "minor_faults", s->minor_faults);
  rf_json_put(&scope, "cgroup_limit_bytes", s->cgroup_limit_bytes);
  rf_json_put(&scope, "alerts", s->alerts);
  rf_json_close(json, '}');
}

static void put_disk(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  struct rf_json_scope scope = {json, report, "system.disk", "not measured"};
  rf_json_open(json, "disk", '{');
  rf_json_put(&scope, "read_bytes", s->read_bytes);
  rf_json_put(&scope, "write_bytes", s->write_bytes);
  rf_json_put(&scope, "read_chars", s->read_chars);
  rf_json_put(&scope, "write_chars", s->write_chars);
  rf_json_put(&scope, "read_calls", s->read_calls);
  rf_json_put(&scope, "write_calls", s->write_calls);
  rf_json_close(json, '}');
}

static void put_network(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  struct rf_json_scope process = {json, report, "system.network.process", "not measured"};
  struct rf_json_scope space = {json, report, "system.network.namespace", "not measured"};
  rf_json_open(json, "network", '{');
  rf_json_open_flat(json, "process", '{');
  rf_json_put(&process, "sent_bytes", s->sent_bytes);
  rf_json_put(&process, "received_bytes", s->received_bytes);
  rf_json_close(json, '}');
  rf_json_open_flat(json, "namespace", '{');
  rf_json_put(&space, "sent_bytes", s->namespace_sent_bytes);
  rf_json_put(&space, "received_bytes", s->namespace_received_bytes);
  rf_json_close(json, '}');
  rf_json_close(json, '}');
}

static void put_gpus(struct rf_json *json, struct rf_report *report) {
  struct rf_json_scope scope = {json, report, "system.gpu[]", "the driver does not tell"};
  rf_json_open(json, "gpu", '[');
  for (size_t i = 0; i < report->system.gpus; i++) {
    const struct rf_report_gpu *g = &report->system.gpu[i];
    rf_json_open(json, NULL, '{');
    rf_json_text(json, "name", g->name);
    rf_json_text(json, "scope", g->scope);
    put_mean_max(json, report, "system.gpu[]", "utilization_ratio", g->utilization_mean, g->utilization_max);
    put_mean_max(json, report, "system.gpu[]", "memory_bytes", g->memory_mean, g->memory_max);
    rf_json_put(&scope, "energy_j", g->energy_j);
    rf_json_put(&scope, "power_w", g->power_w);
    rf_json_put(&scope, "temperature_c", g->temperature_c);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static const char *const metric_keys[RF_METRICS] = {
    [RF_METRIC_CPU_PROCESS] = "cpu_process_ratio",
    [RF_METRIC_CPU_SYSTEM] = "cpu_system_ratio",
    [RF_METRIC_RSS] = "rss_bytes",
    [RF_METRIC_MAJOR_FAULTS] = "major_faults_per_s",
    [RF_METRIC_MINOR_FAULTS] = "minor_faults_per_s",
    [RF_METRIC_READ] = "read_bytes_per_s",
    [RF_METRIC_WRITE] = "write_bytes_per_s",
    [RF_METRIC_NET_SENT] = "sent_bytes_per_s",
    [RF_METRIC_NET_RECEIVED] = "received_bytes_per_s",
    [RF_METRIC_THREADS] = "threads",
    [RF_METRIC_GPU_UTILIZATION] = "gpu_utilization_ratio",
    [RF_METRIC_GPU_MEMORY] = "gpu_memory_bytes",
    [RF_METRIC_HEAP_LIVE] = "heap_live_bytes",
};

static bool ever_sampled(const struct rf_report_system *s, size_t metric) {
  for (size_t i = 0; i < s->points; i++)
    if (!isnan(s->point[i].value[metric][1])) return true;
  return false;
}

static void put_triple(struct rf_json *json, const char *key, const double *value) {
  if (isnan(value[1])) {
    rf_json_number(json, key, NAN);
    return;
  }
  rf_json_open_flat(json, key, '[');
  for (size_t k = 0; k < 3; k++) rf_json_number(json, NULL, value[k]);
  rf_json_close(json, ']');
}

/* A metric that no point has is left out of the points and named among what is unavailable. */
static void put_timeline(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  bool sampled[RF_METRICS];
  for (size_t m = 0; m < RF_METRICS; m++) {
    char path[96];
    sampled[m] = metric_keys[m] && ever_sampled(s, m);
    if (!metric_keys[m] || sampled[m]) continue;
    snprintf(path, sizeof path, "system.timeline[].%s", metric_keys[m]);
    if (!rf_report_reason(report, path)) rf_report_unavailable(report, path, "not sampled");
  }
  rf_json_open(json, "timeline", '[');
  for (size_t i = 0; i < s->points; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_number(json, "time_s", s->point[i].time_s);
    for (size_t m = 0; m < RF_METRICS; m++)
      if (sampled[m]) put_triple(json, metric_keys[m], s->point[i].value[m]);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

void rf_json_system(struct rf_json *json, struct rf_report *report) {
  struct rf_json_scope scope = {json, report, "system", "not sampled"};
  rf_json_open(json, "system", '{');
  rf_json_put(&scope, "interval_s", report->system.interval_s);
  rf_json_put(&scope, "samples", report->system.samples);
  put_cpu(json, report);
  put_memory(json, report);
  put_disk(json, report);
  put_network(json, report);
  put_gpus(json, report);
  put_timeline(json, report);
  rf_json_close(json, '}');
}
