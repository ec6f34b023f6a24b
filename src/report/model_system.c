/*
 * Heap and system figures of several processes. Counts and bytes add; a process's peak is its own, the sum is
 * given. Timelines of processes of one boot share a clock: each later one is laid over the root's points. Of
 * machine-wide values (CPU of all cores, network of the namespace) only the root's count, or they would be
 * counted once a process.
 */
#include <string.h>

#include "report/model_parts.h"

/* --- heap --- */

struct heap_sum {
  struct rf_heap_counters counters;
  int64_t unfolded_max;
  uint64_t sent, received;
  bool any;
};

static void add_counters(struct rf_heap_counters *to, const struct rf_heap_counters *from) {
  uint64_t *a = (uint64_t *)to;
  const uint64_t *b = (const uint64_t *)from;
  for (size_t i = 0; i < sizeof *to / sizeof *a; i++) a[i] += b[i];
}

static struct heap_sum sum_threads(const struct rf_reader *reader) {
  struct heap_sum sum = {0};
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_THREAD], RF_TABLE_THREAD);
  struct rf_thread_entry thread;
  while (rf_cursor_next(&cursor, &thread, sizeof thread)) {
    add_counters(&sum.counters, &thread.heap);
    if (thread.heap_high > thread.heap_folded) sum.unfolded_max += thread.heap_high - thread.heap_folded;
    sum.sent += thread.sent_bytes;
    sum.received += thread.received_bytes;
    sum.any = true;
  }
  return sum;
}

static double at_least_zero(double value) { return value > 0 ? value : 0; }

static double difference(uint64_t more, uint64_t less) { return more > less ? (double)(more - less) : 0; }

/* Highest folded value, or what the threads may have had on top of the last one: within 64 KiB a thread. */
static double heap_peak(const struct rf_header *h, const struct heap_sum *sum, double live) {
  double folded = (double)(int64_t)h->heap_folded_bytes;
  double peak = rf_max_known((double)h->heap_peak_bytes, folded + (double)sum->unfolded_max);
  return at_least_zero(rf_max_known(peak, live));
}

static const char *heap_mode(const struct rf_report *report) {
  return *report->heap.mode ? report->heap.mode : rf_report_option(report, "heap.mode");
}

/* The sum of processes' peaks after one more image of a process; images that exec replaced lived one after
 * the other, so the highest of them counts. */
static double raise_peak(double sum, double *peak, double of_image) {
  double before = isnan(*peak) ? 0 : *peak;
  *peak = rf_max_known(*peak, of_image);
  return isnan(*peak) ? sum : rf_add_known(sum, *peak - before);
}

/* The process has an allocator that nobody could look into: it counted nothing, and said why. */
static bool unseen(const struct rf_reader *reader) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_UNAVAILABLE], RF_TABLE_UNAVAILABLE);
  struct rf_fact_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry))
    if (!strcmp(rf_reader_string(reader, entry.key), "heap")) return true;
  return false;
}

void rf_merge_heap(struct rf_report *report, const struct rf_reader *reader,
                   struct rf_report_process *process) {
  const struct rf_header *h = rf_reader_header(reader);
  struct heap_sum sum = sum_threads(reader);
  struct rf_report_heap *heap = &report->heap;
  if (strcmp(rf_report_option(report, "system.network"), "off") != 0) {
    report->system.sent_bytes = rf_add_known(report->system.sent_bytes, (double)sum.sent);
    report->system.received_bytes = rf_add_known(report->system.received_bytes, (double)sum.received);
  }
  if (strcmp(heap_mode(report), "off") == 0) {
    rf_report_unavailable(report, "heap", "heap.mode is off");
    return;
  }
  if (unseen(reader)) return;
  const struct rf_heap_counters *c = &sum.counters;
  /* A forked child begins with what it inherited. */
  double live = difference(h->inherited_live_bytes + c->alloc_bytes, c->free_bytes);
  heap->alloc_calls = rf_add_known(heap->alloc_calls, (double)c->alloc_calls);
  heap->free_calls = rf_add_known(heap->free_calls, (double)c->free_calls);
  heap->requested_bytes = rf_add_known(heap->requested_bytes, (double)c->requested_bytes);
  heap->alloc_bytes = rf_add_known(heap->alloc_bytes, (double)c->alloc_bytes);
  heap->free_bytes = rf_add_known(heap->free_bytes, (double)c->free_bytes);
  heap->realloc_calls = rf_add_known(heap->realloc_calls, (double)c->realloc_calls);
  heap->failed_calls = rf_add_known(heap->failed_calls, (double)c->failed_calls);
  heap->live_bytes = rf_add_known(heap->live_bytes, live);
  heap->live_blocks =
      rf_add_known(heap->live_blocks, difference(h->inherited_live_blocks + c->alloc_calls, c->free_calls));
  heap->peak_bytes = raise_peak(heap->peak_bytes, &process->heap_peak_bytes, heap_peak(h, &sum, live));
  heap->inherited_live_bytes = rf_add_known(heap->inherited_live_bytes, (double)h->inherited_live_bytes);
  heap->inherited_live_blocks = rf_add_known(heap->inherited_live_blocks, (double)h->inherited_live_blocks);
  heap->mmap_bytes = rf_add_known(heap->mmap_bytes, (double)c->mmap_bytes);
  heap->munmap_bytes = rf_add_known(heap->munmap_bytes, (double)c->munmap_bytes);
  heap->mapped_live_bytes = rf_add_known(heap->mapped_live_bytes, difference(c->mmap_bytes, c->munmap_bytes));
  for (size_t i = 0; i < RF_HEAP_CLASSES; i++) heap->size_class[i] += c->size_class[i];
}

/* --- system: totals --- */

enum total_field {
  USER_NS,
  SYS_NS,
  VOLUNTARY,
  INVOLUNTARY,
  RUN_DELAY_NS,
  THROTTLED_NS,
  MAJOR,
  MINOR,
  PEAK_RSS,
  PSS,
  CGROUP_LIMIT,
  ALERTS,
  READ_BYTES,
  WRITE_BYTES,
  READ_CHARS,
  WRITE_CHARS,
  READ_CALLS,
  WRITE_CALLS,
  NET_SENT,
  NET_RECEIVED
};

static double total(const struct rf_system_entry *entry, enum total_field field) {
  if (entry->missing >> field & 1) return NAN;
  return (double)(&entry->user_ns)[field];
}

static void add_total(double *to, const struct rf_system_entry *entry, enum total_field field, double unit) {
  *to = rf_add_known(*to, total(entry, field) * unit);
}

static void add_totals(struct rf_report_system *s, const struct rf_system_entry *e) {
  add_total(&s->user_s, e, USER_NS, 1e-9);
  add_total(&s->sys_s, e, SYS_NS, 1e-9);
  add_total(&s->voluntary_switches, e, VOLUNTARY, 1);
  add_total(&s->involuntary_switches, e, INVOLUNTARY, 1);
  add_total(&s->run_delay_s, e, RUN_DELAY_NS, 1e-9);
  add_total(&s->major_faults, e, MAJOR, 1);
  add_total(&s->minor_faults, e, MINOR, 1);
  add_total(&s->pss_bytes, e, PSS, 1);
  add_total(&s->alerts, e, ALERTS, 1);
  add_total(&s->read_bytes, e, READ_BYTES, 1);
  add_total(&s->write_bytes, e, WRITE_BYTES, 1);
  add_total(&s->read_chars, e, READ_CHARS, 1);
  add_total(&s->write_chars, e, WRITE_CHARS, 1);
  add_total(&s->read_calls, e, READ_CALLS, 1);
  add_total(&s->write_calls, e, WRITE_CALLS, 1);
  /* Of the group and the namespace, not of the process: they don't add. */
  s->throttled_s = rf_max_known(s->throttled_s, total(e, THROTTLED_NS) * 1e-9);
  s->cgroup_limit_bytes = rf_max_known(s->cgroup_limit_bytes, total(e, CGROUP_LIMIT));
  s->namespace_sent_bytes = rf_max_known(s->namespace_sent_bytes, total(e, NET_SENT));
  s->namespace_received_bytes = rf_max_known(s->namespace_received_bytes, total(e, NET_RECEIVED));
}

/* --- system: the timeline --- */

static size_t read_points(struct rf_report *report, const struct rf_reader *reader, rf_ref root,
                          struct rf_report_point **points) {
  size_t count = 0;
  struct rf_cursor cursor = rf_cursor_at(reader, root, RF_TABLE_SAMPLE);
  struct rf_sample_entry e;
  while (rf_cursor_next(&cursor, &e, sizeof e)) {
    if (!isfinite(e.time_s) || !isfinite(e.length_s)) continue;
    struct rf_report_point *p = rf_arena_push(report->arena, points, count++, sizeof *p);
    *p = (struct rf_report_point){.time_s = e.time_s, .length_s = e.length_s};
    for (size_t m = 0; m < RF_METRICS; m++)
      for (size_t k = 0; k < 3; k++) p->value[m][k] = isfinite(e.value[m][k]) ? (double)e.value[m][k] : NAN;
  }
  return count;
}

static bool machine_wide(size_t metric) {
  return metric == RF_METRIC_CPU_SYSTEM || metric == RF_METRIC_NET_SENT || metric == RF_METRIC_NET_RECEIVED;
}

/* The child's values at each of the root's points, added. shift_s: child's start after the root's. */
static void overlay(struct rf_report_system *s, const struct rf_report_point *point, size_t count,
                    double shift_s) {
  size_t j = 0;
  for (size_t i = 0; i < s->points; i++) {
    struct rf_report_point *to = &s->point[i];
    while (j < count && point[j].time_s + point[j].length_s / 2 + shift_s < to->time_s) j++;
    if (j == count || point[j].time_s - point[j].length_s / 2 + shift_s > to->time_s) continue;
    for (size_t m = 0; m < RF_METRICS; m++)
      for (size_t k = 0; k < 3 && !machine_wide(m); k++)
        to->value[m][k] = rf_add_known(to->value[m][k], point[j].value[m][k]);
  }
}

/* The root's, of one image after the other. */
static void append_points(struct rf_report *report, const struct rf_report_point *point, size_t count,
                          double shift_s) {
  struct rf_report_system *s = &report->system;
  for (size_t i = 0; i < count; i++) {
    struct rf_report_point *to = rf_arena_push(report->arena, &s->point, s->points, sizeof *to);
    *to = point[i];
    to->time_s += shift_s;
    s->points++;
  }
}

static void add_timeline(struct rf_report *report, const struct rf_reader *reader,
                         const struct rf_system_entry *entry, const struct rf_report_process *process) {
  struct rf_report_point *points = NULL;
  rf_ref root =
      entry->current_timeline ? entry->current_timeline : rf_reader_header(reader)->root[RF_TABLE_SAMPLE];
  size_t count = read_points(report, reader, root, &points);
  const struct rf_header *header = rf_reader_header(reader);
  double start_s = (double)(header->start_monotonic_ns - header->monotonic_offset_ns) * 1e-9;
  double shift_s = start_s - report->process[0].start_s;
  if (process == &report->process[0])
    append_points(report, points, count, shift_s);
  else if (strcmp(process->boot_id, report->process[0].boot_id) == 0)
    overlay(&report->system, points, count, shift_s);
  else
    rf_report_unavailable(report, "system.timeline",
                          "processes of different machines or boots share no clock: the "
                          "timeline is the root's alone");
}

/* --- system: one recording --- */

static double cpu_p95(const struct rf_system_entry *e) {
  uint64_t all = 0, seen = 0;
  for (size_t i = 0; i < 256; i++) all += e->cpu_histogram[i];
  for (size_t i = 0; all && i < 256; i++) {
    seen += e->cpu_histogram[i];
    if ((double)seen >= 0.95 * (double)all) return ((double)i + 0.5) / 16;
  }
  return NAN;
}

static double metric_mean(const struct rf_system_entry *e, enum rf_metric m) {
  return e->metric[m].weight > 0 && isfinite(e->metric[m].sum) ? e->metric[m].sum / e->metric[m].weight : NAN;
}

static double metric_max(const struct rf_system_entry *e, enum rf_metric m) {
  return e->metric[m].weight > 0 && isfinite(e->metric[m].max) ? e->metric[m].max : NAN;
}

static void first_metrics(struct rf_report_system *s, const struct rf_system_entry *e) {
  s->interval_s = e->interval_s > 0 ? e->interval_s : NAN;
  s->cpu_mean = metric_mean(e, RF_METRIC_CPU_PROCESS);
  s->cpu_max = metric_max(e, RF_METRIC_CPU_PROCESS);
  s->cpu_p95 = rf_min_known(cpu_p95(e), s->cpu_max);
  s->machine_mean = metric_mean(e, RF_METRIC_CPU_SYSTEM);
  s->machine_max = metric_max(e, RF_METRIC_CPU_SYSTEM);
  s->rss_mean = metric_mean(e, RF_METRIC_RSS);
  s->rss_max = metric_max(e, RF_METRIC_RSS);
}

static double finite_mean(double sum, double weight) {
  return weight > 0 && isfinite(sum) ? sum / weight : NAN;
}

static void read_gpus(struct rf_report *report, const struct rf_reader *reader) {
  struct rf_cursor cursor = rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_GPU], RF_TABLE_GPU);
  struct rf_gpu_entry e;
  while (rf_cursor_next(&cursor, &e, sizeof e)) {
    struct rf_report_gpu *g =
        rf_arena_push(report->arena, &report->system.gpu, report->system.gpus++, sizeof *g);
    *g = (struct rf_report_gpu){.name = rf_arena_text(report->arena, rf_reader_string(reader, e.name)),
                                .scope = rf_arena_text(report->arena, rf_reader_string(reader, e.scope)),
                                .utilization_mean = finite_mean(e.utilization_sum, e.utilization_weight),
                                .utilization_max = e.utilization_weight > 0 ? e.utilization_max : NAN,
                                .memory_mean = finite_mean(e.memory_sum, e.memory_weight),
                                .memory_max = e.memory_weight > 0 ? e.memory_max : NAN,
                                .energy_j = e.energy_j,
                                .power_w = e.power_w,
                                .temperature_c = e.temperature_c};
  }
}

void rf_merge_system(struct rf_report *report, const struct rf_reader *reader,
                     struct rf_report_process *process) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_SYSTEM], RF_TABLE_SYSTEM);
  struct rf_system_entry entry;
  read_gpus(report, reader);
  if (!rf_cursor_next(&cursor, &entry, sizeof entry)) return;
  struct rf_report_system *s = &report->system;
  if (!s->recorded) first_metrics(s, &entry);
  s->recorded = true;
  s->samples = rf_add_known(s->samples, (double)entry.samples);
  add_totals(s, &entry);
  report->heap.peak_rss_bytes =
      raise_peak(report->heap.peak_rss_bytes, &process->peak_rss_bytes, total(&entry, PEAK_RSS));
  add_timeline(report, reader, &entry, process);
}

/* Over several processes mean and max come from the joined timeline. */
static void from_timeline(const struct rf_report_system *s, enum rf_metric metric, double *mean,
                          double *max) {
  double sum = 0, weight = 0, highest = NAN;
  for (size_t i = 0; i < s->points; i++) {
    const double *v = s->point[i].value[metric];
    if (isnan(v[1])) continue;
    sum += v[1] * s->point[i].length_s;
    weight += s->point[i].length_s;
    highest = rf_max_known(highest, v[2]);
  }
  if (!(weight > 0)) return;
  *mean = sum / weight;
  *max = highest;
}

void rf_merge_system_end(struct rf_report *report) {
  struct rf_report_system *s = &report->system;
  if (!s->recorded)
    rf_report_unavailable(report, "system",
                          strcmp(rf_report_option(report, "system.enabled"), "off") == 0
                              ? "system.enabled is off"
                              : "no sample was taken");
  if (report->recordings > 1) {
    from_timeline(s, RF_METRIC_CPU_PROCESS, &s->cpu_mean, &s->cpu_max);
    from_timeline(s, RF_METRIC_RSS, &s->rss_mean, &s->rss_max);
    s->cpu_p95 = NAN;
    rf_report_unavailable(report, "system.cpu.process_ratio.p95",
                          "not known for several recordings together");
  }
  s->rss_max = rf_max_known(s->rss_max, report->processes == 1 ? report->process[0].peak_rss_bytes : NAN);
}
