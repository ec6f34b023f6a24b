/* One line a resource: its course over the run as a sparkline, then figures. */
#include <stdio.h>
#include <string.h>

#include "report/text_parts.h"

/* --- sparklines of the timeline --- */

/* The timeline's means (or maxima) in columns of equal time. */
static double timeline_columns(const struct rf_report *report, enum rf_metric metric, double *column,
                               size_t columns) {
  const struct rf_report_system *s = &report->system;
  double highest = NAN, end = 0;
  double weight[RF_SPARK_COLUMNS] = {0};
  for (size_t i = 0; i < columns; i++) column[i] = 0;
  for (size_t i = 0; i < s->points; i++) end = fmax(end, s->point[i].time_s + s->point[i].length_s / 2);
  for (size_t i = 0; i < s->points; i++) {
    const struct rf_report_point *p = &s->point[i];
    if (isnan(p->value[metric][1]) || !(end > 0) || p->time_s < 0) continue;
    size_t first = (size_t)(fmax(p->time_s - p->length_s / 2, 0) / end * (double)columns);
    size_t last = (size_t)((p->time_s + p->length_s / 2) / end * (double)columns * 0.9999);
    for (size_t c = first; c <= last && c < columns; c++) {
      column[c] += p->value[metric][1];
      weight[c]++;
    }
  }
  for (size_t i = 0; i < columns; i++) {
    column[i] = weight[i] > 0 ? column[i] / weight[i] : NAN;
    highest = rf_max_known(highest, column[i]);
  }
  return highest;
}

/* A line with the course of metric; full: what the whole height means, 0 for the highest value. */
static struct rf_flow course(struct rf_buffer *out, const char *label, const double *column, double full,
                             const struct rf_style *style) {
  struct rf_flow flow = rf_flow_begin(out, label, style);
  rf_buffer_char(out, ' ');
  rf_add_colour(out, RF_ACCENT, style);
  if (column)
    rf_add_sparkline(out, column, RF_SPARK_COLUMNS, full, style);
  else
    rf_buffer_repeat(out, " ", RF_SPARK_COLUMNS);
  rf_add_colour(out, RF_PLAIN, style);
  rf_buffer_text(out, "  ");
  flow.column = flow.indent = RF_LABEL_COLUMNS + 1 + RF_SPARK_COLUMNS + 2;
  return flow;
}

static struct rf_flow metric_course(struct rf_buffer *out, const char *label, const struct rf_report *report,
                                    enum rf_metric metric, const struct rf_style *style) {
  double column[RF_SPARK_COLUMNS];
  double highest = timeline_columns(report, metric, column, RF_SPARK_COLUMNS);
  return course(out, label, column, highest, style);
}

/* Two metrics on one line, added: read and written, sent and received. */
static struct rf_flow sum_course(struct rf_buffer *out, const char *label, const struct rf_report *report,
                                 enum rf_metric one, enum rf_metric other, const struct rf_style *style) {
  double a[RF_SPARK_COLUMNS], b[RF_SPARK_COLUMNS], highest = 0;
  timeline_columns(report, one, a, RF_SPARK_COLUMNS);
  timeline_columns(report, other, b, RF_SPARK_COLUMNS);
  for (size_t i = 0; i < RF_SPARK_COLUMNS; i++) highest = fmax(highest, a[i] = rf_add_known(a[i], b[i]));
  return course(out, label, a, highest, style);
}

/* --- lines --- */

/* Processes that ran one after the other never held their peaks together: the sum is an upper bound. */
static const char *several(const struct rf_report *report) {
  return report->processes > 1 ? " (sum of processes)" : "";
}

static void add_cpu(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_system *s = &report->system;
  if (isnan(s->cpu_mean) && isnan(s->user_s)) return;
  double column[RF_SPARK_COLUMNS],
      highest = timeline_columns(report, RF_METRIC_CPU_PROCESS, column, RF_SPARK_COLUMNS);
  /* The whole height is at least one core, so that an idle process looks idle. */
  struct rf_flow flow = course(out, "CPU", column, fmax(highest, 1), style);
  if (!isnan(s->cpu_mean)) rf_flow_item(&flow, "mean %.2f, max %.2f cores", s->cpu_mean, s->cpu_max);
  if (!isnan(s->user_s))
    rf_flow_item(&flow, "user %s, system %s", rf_show_duration(s->user_s, style),
                 rf_show_duration(s->sys_s, style));
  if (s->run_delay_s > 0.01)
    rf_flow_item(&flow, "waited %s for a core", rf_show_duration(s->run_delay_s, style));
  if (s->throttled_s > 0) rf_flow_item(&flow, "throttled %s", rf_show_duration(s->throttled_s, style));
  if (s->machine_mean > 0) rf_flow_item(&flow, "machine %s busy", rf_show_ratio(s->machine_mean));
  rf_flow_end(&flow);
}

static void add_memory(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_system *s = &report->system;
  double peak = rf_max_known(s->rss_max, report->heap.peak_rss_bytes);
  if (isnan(peak)) return;
  struct rf_flow flow = metric_course(out, "RSS", report, RF_METRIC_RSS, style);
  rf_flow_item(&flow, "peak %s%s", rf_show_bytes(peak), several(report));
  if (!isnan(s->rss_mean)) rf_flow_item(&flow, "mean %s", rf_show_bytes(s->rss_mean));
  if (s->cgroup_limit_bytes > 0) rf_flow_item(&flow, "limit %s", rf_show_bytes(s->cgroup_limit_bytes));
  if (s->major_faults > 0) rf_flow_item(&flow, "%s major faults", rf_show_count(s->major_faults));
  if (s->alerts > 0) rf_flow_item(&flow, "%s alerts", rf_show_count(s->alerts));
  rf_flow_end(&flow);
}

/* Which allocator, what it holds, and how much of that is in no block: would another one help? */
static void add_allocator(struct rf_flow *flow, const struct rf_report_heap *h) {
  double held = rf_allocator_held(h->at_end), most = rf_allocator_held(h->at_peak);
  if (most > 0)
    rf_flow_item(flow, "%s held %s at the peak, %s of it in no block", h->allocator, rf_show_bytes(most),
                 rf_show_ratio(rf_allocator_fragmentation(h->at_peak)));
  if (held > 0)
    rf_flow_item(flow, "%s held %s at the end, %s of it in no block", h->allocator, rf_show_bytes(held),
                 rf_show_ratio(rf_allocator_fragmentation(h->at_end)));
}

static void add_heap_figures(struct rf_flow *flow, const struct rf_report *report) {
  const struct rf_report_heap *h = &report->heap;
  rf_flow_item(flow, "peak %s%s", rf_show_bytes(h->peak_bytes), several(report));
  rf_flow_item(flow, "%s alloc%s, %s", rf_show_count(h->alloc_calls), h->alloc_calls == 1 ? "" : "s",
               rf_show_bytes(h->requested_bytes));
  rf_flow_item(flow, "%s live at the end", rf_show_bytes(h->live_bytes));
  if (h->failed_calls > 0) rf_flow_item(flow, "%s failed", rf_show_count(h->failed_calls));
  add_allocator(flow, h);
}

static void add_heap(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_heap *h = &report->heap;
  if (isnan(h->alloc_calls) && !h->unseens) return;
  struct rf_flow flow = metric_course(out, "HEAP", report, RF_METRIC_HEAP_LIVE, style);
  for (size_t i = 0; i < h->unseens; i++)
    rf_flow_item(&flow, "%s has blocks of its own", h->unseen[i].module),
        rf_flow_item(&flow, "not seen: %s", h->unseen[i].reason);
  if (!isnan(h->alloc_calls)) add_heap_figures(&flow, report);
  rf_flow_end(&flow);
}

static size_t median_class(const struct rf_report_heap *h, uint64_t all) {
  uint64_t seen = 0;
  for (size_t i = 0; i < RF_HEAP_CLASSES; i++)
    if ((seen += h->size_class[i]) * 2 >= all) return i;
  return 0;
}

static void add_sizes(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_heap *h = &report->heap;
  size_t first = RF_HEAP_CLASSES, last = 0;
  uint64_t all = 0, most = 0;
  for (size_t i = 0; i < RF_HEAP_CLASSES; i++) {
    if (!h->size_class[i]) continue;
    first = i < first ? i : first;
    last = i;
    all += h->size_class[i];
    most = h->size_class[i] > most ? h->size_class[i] : most;
  }
  if (!all) return;
  double column[RF_SPARK_COLUMNS];
  for (size_t i = 0; i < RF_SPARK_COLUMNS; i++)
    column[i] = first + i <= last ? (double)h->size_class[first + i] : NAN;
  struct rf_flow flow = course(out, "SIZES", column, (double)most, style);
  rf_flow_item(&flow, "block sizes up to %s ... %s", rf_show_bytes(ldexp(1, (int)first)),
               rf_show_bytes(ldexp(1, (int)last)));
  rf_flow_item(&flow, "half up to %s", rf_show_bytes(ldexp(1, (int)median_class(h, all))));
  rf_flow_end(&flow);
}

static void add_disk(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_system *s = &report->system;
  if (!(s->read_bytes > 0 || s->write_bytes > 0 || s->read_chars > 0 || s->write_chars > 0)) return;
  struct rf_flow flow = sum_course(out, "DISK", report, RF_METRIC_READ, RF_METRIC_WRITE, style);
  if (!isnan(s->read_bytes))
    rf_flow_item(&flow, "read %s, wrote %s", rf_show_bytes(s->read_bytes), rf_show_bytes(s->write_bytes));
  if (!isnan(s->read_chars))
    rf_flow_item(&flow, "by calls %s and %s", rf_show_bytes(s->read_chars), rf_show_bytes(s->write_chars));
  rf_flow_end(&flow);
}

static void add_network(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_system *s = &report->system;
  if (!(s->sent_bytes > 0 || s->received_bytes > 0)) return;
  struct rf_flow flow = sum_course(out, "NETWORK", report, RF_METRIC_NET_SENT, RF_METRIC_NET_RECEIVED, style);
  rf_flow_item(&flow, "sent %s, received %s", rf_show_bytes(s->sent_bytes), rf_show_bytes(s->received_bytes));
  rf_flow_end(&flow);
}

static void add_gpu(struct rf_buffer *out, const struct rf_report *report, const struct rf_report_gpu *g,
                    const struct rf_style *style) {
  struct rf_flow flow = metric_course(out, "GPU", report, RF_METRIC_GPU_UTILIZATION, style);
  rf_flow_item(&flow, "%s%s", g->name, strcmp(g->scope, "device") == 0 ? " (whole device)" : "");
  if (!isnan(g->utilization_mean))
    rf_flow_item(&flow, "mean %s, max %s", rf_show_ratio(g->utilization_mean),
                 rf_show_ratio(g->utilization_max));
  if (!isnan(g->memory_max)) rf_flow_item(&flow, "memory up to %s", rf_show_bytes(g->memory_max));
  if (g->energy_j > 0) rf_flow_item(&flow, "%.3g J", g->energy_j);
  if (g->power_w > 0) rf_flow_item(&flow, "%.3g W", g->power_w);
  if (g->temperature_c > 0) rf_flow_item(&flow, "%.0f degrees C", g->temperature_c);
  rf_flow_end(&flow);
}

void rf_text_resources(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  add_cpu(out, report, style);
  add_memory(out, report, style);
  add_heap(out, report, style);
  add_sizes(out, report, style);
  add_disk(out, report, style);
  add_network(out, report, style);
  for (size_t i = 0; i < report->system.gpus; i++) add_gpu(out, report, &report->system.gpu[i], style);
}
