/*
 * Functions of several recordings become one list: the same build-id and offset is the same function.
 *
 *   slots (function × thread) ─▶ accumulator (function, one recording) ─▶ rf_report_function (all recordings)
 *
 * Where calls were merely counted (timing.budget), a timed call stands for its weight of them, and the
 * writer's sums and histograms are weighted already. What timed callees took comes off their caller
 * function's sum (sum_children); where the caller could not be told, it is lost; on threads that lost more
 * than 1% of what their functions took, self time is not given.
 */
#include <stdlib.h>
#include <string.h>

#include "base/moments.h"
#include "elf/demangle.h"
#include "report/model_parts.h"

#define NO_INDEX SIZE_MAX

struct octave {
  uint64_t count[RF_SUBBUCKETS];
  double weight[RF_SUBBUCKETS];
};

/* One function in one recording; times in seconds, corrected. */
#define LOST_SHARE 0.01

struct accumulator {
  size_t target; /* index into report->function */
  uint32_t mode;
  struct octave *octave[RF_OCTAVES];
  uint64_t entered, counted, sampled_calls; /* sampled_calls: on threads where at least one call was timed */
  uint64_t durations, open, threads;
  double unwound;                                    /* of all calls, told by those that were timed */
  double weight, sum_s, sum_outer_s, sum_self_s, m2; /* m2: weighted squared deviations from the mean */
  double min_s, max_s;
  bool self_unknown, total_unknown;
  double
      total_variance; /* of sum_outer_s, where recursion under the budget makes it less sure than the mean */
  double effective;   /* timed calls, less where their weights differ */
  struct rf_function_heap heap;
  struct rf_function_system system;
  uint32_t flags;
};

/* What lies behind a function of the report while recordings are merged. */
struct moments {
  double weight, sum_s, m2, total_variance;
  double timed;
  uint64_t entered;
};

struct rf_function_merge {
  struct rf_report *report;
  size_t *table; /* open addressing: index + 1 into report->function */
  size_t table_size;
  struct moments *moments;
  struct rf_function_merge *spans; /* NULL: none yet */
};

double rf_unit_seconds(const struct rf_header *header, uint32_t mode) {
  if (mode != RF_CLOCK_PERF_COUNTER) return 1e-9;
  return header->cycles_per_second > 0 ? 1 / header->cycles_per_second : 1e-9;
}

/* What the probe adds to a duration, in the units of the mode's clock. */
static double inside_units(const struct rf_header *h, uint32_t mode) {
  double probe_s = h->probe_inside_cycles * rf_unit_seconds(h, RF_CLOCK_PERF_COUNTER);
  double clock_s = mode <= RF_CLOCK_THREAD ? (double)h->clock_inside_ps[mode] * 1e-12 : 0;
  return (probe_s + clock_s) / rf_unit_seconds(h, mode);
}

static const char *mode_name(uint32_t mode) {
  static const char *const names[] = {"perf_counter", "wall_clock", "process_time", "thread_time"};
  return mode < sizeof names / sizeof *names ? names[mode] : "unknown";
}

/* --- finding a function again --- */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length) {
  const unsigned char *p = bytes;
  for (size_t i = 0; i < length; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
  return hash;
}

static uint64_t hash_of(const struct rf_report_function *f) {
  uint64_t hash = hash_bytes(0xcbf29ce484222325u, &f->offset, sizeof f->offset);
  if (f->build_id_bytes) return hash_bytes(hash, f->build_id, f->build_id_bytes);
  return hash_bytes(hash_bytes(hash, f->module, strlen(f->module)), f->name, strlen(f->name));
}

static bool same_function(const struct rf_report_function *a, const struct rf_report_function *b) {
  if (a->offset != b->offset || a->build_id_bytes != b->build_id_bytes) return false;
  if (a->build_id_bytes) return memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0;
  return strcmp(a->module, b->module) == 0 && strcmp(a->name, b->name) == 0;
}

static void insert_index(struct rf_function_merge *merge, size_t index) {
  size_t at = hash_of(&merge->report->function[index]) & (merge->table_size - 1);
  while (merge->table[at]) at = (at + 1) & (merge->table_size - 1);
  merge->table[at] = index + 1;
}

static void grow_table(struct rf_function_merge *merge) {
  if (merge->report->functions * 2 < merge->table_size) return;
  merge->table_size *= 2;
  merge->table = rf_arena_alloc(merge->report->arena, merge->table_size * sizeof *merge->table);
  for (size_t i = 0; i < merge->report->functions; i++) insert_index(merge, i);
}

static size_t find_function(struct rf_function_merge *merge, const struct rf_report_function *wanted) {
  size_t at = hash_of(wanted) & (merge->table_size - 1);
  for (; merge->table[at]; at = (at + 1) & (merge->table_size - 1))
    if (same_function(&merge->report->function[merge->table[at] - 1], wanted)) return merge->table[at] - 1;
  return NO_INDEX;
}

static size_t add_function(struct rf_function_merge *merge, const struct rf_report_function *f) {
  struct rf_report *report = merge->report;
  struct rf_report_function *fresh =
      rf_arena_push(report->arena, &report->function, report->functions, sizeof *fresh);
  *fresh = *f;
  fresh->total_s = 0;
  fresh->self_s = 0;
  fresh->min_s = fresh->max_s = NAN;
  fresh->heap = (struct rf_function_heap){.peak_bytes = NAN};
  fresh->system = (struct rf_function_system){.peak_rss_bytes = NAN, .gpu_ratio = NAN};
  struct moments *m = rf_arena_push(report->arena, &merge->moments, report->functions, sizeof *m);
  *m = (struct moments){0};
  insert_index(merge, report->functions++);
  grow_table(merge);
  return report->functions - 1;
}

/* Whether one of list's lines is name. */
static bool has_line(const char *list, const char *name, size_t length) {
  for (size_t line; *list; list += line + (list[line] == '\n')) {
    line = strcspn(list, "\n");
    if (line == length && !memcmp(list, name, length)) return true;
  }
  return false;
}

/* Of symbols, a line each, those that people would not call name, demangled and each once. Constructors have
 * two symbols of one name. */
static const char *other_names(struct rf_arena *arena, const char *name, const char *symbols) {
  char list[4096], symbol[4096], shown[4096];
  size_t used = 0;
  list[0] = 0;
  for (size_t line; *symbols; symbols += line + (symbols[line] == '\n')) {
    line = strcspn(symbols, "\n");
    if (line >= sizeof symbol) continue;
    memcpy(symbol, symbols, line);
    symbol[line] = 0;
    const char *other = rf_demangle(symbol, shown, sizeof shown) ? shown : symbol;
    size_t length = strlen(other);
    if (!strcmp(other, name) || has_line(list, other, length)) continue;
    if (used + length + 2 > sizeof list) break;
    if (used) list[used++] = '\n';
    memcpy(list + used, other, length + 1);
    used += length;
  }
  return rf_arena_text(arena, list);
}

static size_t target_of(struct rf_function_merge *merge, const struct rf_reader *reader,
                        const struct rf_function_entry *entry) {
  struct rf_arena *arena = merge->report->arena;
  const char *name = rf_reader_string(reader, entry->demangled ? entry->demangled : entry->name);
  struct rf_report_function f = {.name = name,
                                 .module = rf_reader_string(reader, entry->module),
                                 .mode = mode_name(entry->mode),
                                 .offset = entry->module_offset};
  f.build_id_bytes = entry->build_id_bytes <= sizeof f.build_id ? entry->build_id_bytes : 0;
  memcpy(f.build_id, entry->build_id, f.build_id_bytes);
  size_t index = find_function(merge, &f);
  if (index != NO_INDEX) return index;
  f.name = rf_arena_text(arena, f.name);
  f.module = rf_arena_text(arena, f.module);
  f.aliases = other_names(arena, f.name, rf_reader_string(reader, entry->aliases));
  return add_function(merge, &f);
}

/* --- one recording --- */

static struct accumulator *read_functions(struct rf_function_merge *merge, const struct rf_reader *reader,
                                          struct rf_arena *scratch, size_t *count) {
  struct accumulator *list = NULL;
  struct rf_function_entry entry;
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_FUNCTION], RF_TABLE_FUNCTION);
  *count = 0;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    struct accumulator *a = rf_arena_push(scratch, &list, *count, sizeof *a);
    *a = (struct accumulator){.target = target_of(merge, reader, &entry),
                              .mode = entry.mode,
                              .flags = entry.flags,
                              .min_s = NAN,
                              .max_s = NAN,
                              .heap.peak_bytes = NAN,
                              .system.peak_rss_bytes = NAN};
    (*count)++;
  }
  return list;
}

static double corrected(double units, double inside_units, double unit_s) {
  return units > inside_units ? (units - inside_units) * unit_s : 0;
}

static void add_bucket(struct octave *octave, uint32_t index, uint64_t count, double weight) {
  octave->count[index] += count;
  octave->weight[index] += weight * (double)count;
}

static void add_histogram(struct accumulator *a, const struct rf_reader *reader, const struct rf_slot *slot,
                          double weight, struct rf_arena *scratch) {
  struct rf_uncounted last = rf_slot_uncounted(slot);
  for (unsigned o = 0; o < RF_OCTAVES; o++) {
    const uint64_t *words = slot->octave[o] ? rf_reader_words(reader, slot->octave[o], RF_SUBBUCKETS) : NULL;
    if (!words) continue;
    if (!a->octave[o]) a->octave[o] = rf_arena_alloc(scratch, sizeof(struct octave));
    for (unsigned i = 0; i < RF_SUBBUCKETS; i++) add_bucket(a->octave[o], i, words[i], weight);
    if (last.weight && last.bucket.octave == o)
      add_bucket(a->octave[o], last.bucket.index, last.weight, weight);
  }
}

/* Chan's rule: joins mean and squared deviations of two groups without cancellation. */
static void join_moments(double *weight, double *sum, double *m2, double other_weight, double other_sum,
                         double other_m2) {
  if (!(other_weight > 0)) return;
  if (*weight > 0) {
    double apart = other_sum / other_weight - *sum / *weight;
    *m2 += other_m2 + apart * apart * *weight * other_weight / (*weight + other_weight);
  } else {
    *m2 = other_m2;
  }
  *weight += other_weight;
  *sum += other_sum;
}

static double squared_deviations(const struct rf_slot *slot) {
  return (double)rf_squared_deviations(slot->weights, rf_slot_sum(slot), rf_slot_squares(slot));
}

/* Both go over 2^64 only together, in deep recursion: their difference does not. */
static double self_units(const struct rf_slot *slot) {
  return (double)(int64_t)(slot->sum_self - slot->sum_children);
}

static void add_durations(struct accumulator *a, const struct rf_header *h, const struct rf_slot *slot,
                          double weight) {
  if (!slot->durations) return;
  double unit = rf_unit_seconds(h, a->mode);
  double inside = inside_units(h, a->mode);
  double n = (double)slot->weights;
  double sum_s = corrected((double)rf_slot_sum(slot), inside * n, unit);
  join_moments(&a->weight, &a->sum_s, &a->m2, weight * n, weight * sum_s,
               weight * squared_deviations(slot) * unit * unit);
  double outer = slot->inner_weights < slot->weights ? (double)(slot->weights - slot->inner_weights) : 0;
  a->sum_outer_s += weight * corrected((double)(int64_t)slot->sum_outer, inside * outer, unit);
  a->sum_self_s += weight * corrected(self_units(slot), inside * n, unit);
  if (slot->min <= slot->max) {
    a->min_s = rf_min_known(a->min_s, corrected((double)slot->min, inside, unit));
    a->max_s = rf_max_known(a->max_s, corrected((double)slot->max, inside, unit));
  }
}

static void add_heap_and_system(struct accumulator *a, const struct rf_slot *slot, double weight) {
  a->heap.alloc_calls += weight * (double)slot->heap_alloc_calls;
  a->heap.requested_bytes += weight * (double)slot->heap_requested_bytes;
  a->heap.alloc_bytes += weight * (double)slot->heap_alloc_bytes;
  a->heap.free_bytes += weight * (double)slot->heap_free_bytes;
  if (slot->heap_peak_bytes >= 0)
    a->heap.peak_bytes = rf_max_known(a->heap.peak_bytes, (double)slot->heap_peak_bytes);
  a->system.cpu_s += weight * (double)slot->cpu_ns * 1e-9;
  a->system.gpu_busy_s += weight * (double)slot->gpu_busy_ns * 1e-9;
  a->system.gpu_time_s += weight * (double)slot->gpu_time_ns * 1e-9;
  a->system.faults += weight * (double)slot->faults;
  a->system.switches += weight * (double)slot->switches;
  a->system.read_bytes += weight * (double)slot->read_bytes;
  a->system.write_bytes += weight * (double)slot->write_bytes;
  a->system.sent_bytes += weight * (double)slot->sent_bytes;
  a->system.received_bytes += weight * (double)slot->received_bytes;
  if (slot->peak_rss_bytes)
    a->system.peak_rss_bytes = rf_max_known(a->system.peak_rss_bytes, (double)slot->peak_rss_bytes);
}

/* What the timed calls' weights leave to scale by: drawn gaps add up to their mean only in the long run. 1
 * when all were timed. */
static double remaining_weight(const struct rf_slot *slot, uint64_t counted) {
  double calls = (double)slot->entered + (double)counted;
  double endless = (double)slot->entered - (double)slot->durations - (double)slot->depth;
  if ((double)slot->endless_weights > endless) endless = (double)slot->endless_weights;
  double stood_for = (double)slot->weights + fmax(endless, 0) + (double)slot->depth;
  return slot->entered && stood_for > 0 ? calls / stood_for : 1;
}

/* Recordings made before unwound calls had weights know their number only. */
static double unwound_weights(const struct rf_slot *slot) {
  return (double)(slot->unwound_weights ? slot->unwound_weights : slot->unwound);
}

/* How many calls of equal weight would say as much. */
static double effective_calls(const struct rf_slot *slot) {
  return slot->weight_squares ? (double)slot->weights * (double)slot->weights / (double)slot->weight_squares
                              : 0;
}

/*
 * The outermost calls' times, weighted, less what walks told to lie inside of others: both are sums of parts that
 * are there by chance, so that their squares add up. Which of the timed calls were outermost ones is not known
 * any more; that all of them were makes it larger, not smaller.
 */
static double total_variance(const struct rf_slot *slot, double unit) {
  if (!slot->inner_weights || slot->weights <= slot->durations) return 0;
  if (slot->inner_weights == slot->weights && !slot->moved_squares)
    return 0; /* all lie in one that has not ended */
  double mean_weight = (double)slot->weight_squares / (double)slot->weights;
  double timed = (mean_weight - 1) * (double)rf_slot_squares(slot);
  double moved = (double)slot->moved_squares * 1024 * 1024;
  return (timed + moved) * unit * unit;
}

/* counted: calls that were merely counted. lost: too much of the thread's times could not be taken off a
 * caller's self time. */
static void add_slot(struct accumulator *a, const struct rf_reader *reader, const struct rf_slot *slot,
                     uint64_t counted, bool lost, struct rf_arena *scratch) {
  uint64_t calls = slot->entered + counted;
  double weight = remaining_weight(slot, counted);
  a->entered += slot->entered;
  a->counted += counted;
  a->effective += effective_calls(slot);
  if (slot->entered) a->sampled_calls += calls;
  a->durations += slot->durations;
  a->unwound += weight * unwound_weights(slot);
  a->open += slot->depth;
  a->threads += slot->threads ? slot->threads : calls != 0;
  bool recursive = slot->sum_high || slot->sum != slot->sum_outer;
  a->self_unknown |= slot->durations && lost;
  a->total_unknown |= recursive && lost;
  const struct rf_header *h = rf_reader_header(reader);
  add_durations(a, h, slot, weight);
  a->total_variance += weight * weight * total_variance(slot, rf_unit_seconds(h, a->mode));
  add_heap_and_system(a, slot, weight);
  add_histogram(a, reader, slot, weight, scratch);
}

static bool lost_much(const struct rf_reader *reader, rf_ref slots) {
  double lost = 0, taken = 0;
  struct rf_cursor cursor = rf_cursor_at(reader, slots, RF_TABLE_SLOT);
  struct rf_slot slot;
  while (rf_cursor_next(&cursor, &slot, sizeof slot)) {
    lost += (double)slot.lost_children;
    taken += (double)slot.sum_self;
  }
  return lost > LOST_SHARE * taken;
}

/* Announced calls, less those that are still to come. */
static uint64_t counted_calls(const struct rf_slot *slot, const uint64_t *countdowns, uint32_t count) {
  int64_t countdown = countdowns && slot->function < count ? (int64_t)countdowns[slot->function] : 0;
  uint64_t to_come = countdown > 1 ? (uint64_t)countdown - 1 : 0;
  return slot->counted > to_come ? slot->counted - to_come : 0;
}

static void read_threads(const struct rf_reader *reader, struct accumulator *list, size_t count,
                         struct rf_arena *scratch) {
  struct rf_cursor threads =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_THREAD], RF_TABLE_THREAD);
  struct rf_thread_entry thread;
  while (rf_cursor_next(&threads, &thread, sizeof thread)) {
    bool lost = lost_much(reader, thread.slots);
    const uint64_t *countdowns = rf_reader_words(reader, thread.countdowns, thread.countdown_count);
    struct rf_cursor slots = rf_cursor_at(reader, thread.slots, RF_TABLE_SLOT);
    struct rf_slot slot;
    while (rf_cursor_next(&slots, &slot, sizeof slot))
      if (slot.function < count)
        add_slot(&list[slot.function], reader, &slot,
                 counted_calls(&slot, countdowns, thread.countdown_count), lost, scratch);
  }
}

/* --- into the report --- */

static size_t buckets_of(const struct accumulator *a, const struct rf_header *h,
                         struct rf_duration_bucket *out) {
  double unit = rf_unit_seconds(h, a->mode);
  double inside = inside_units(h, a->mode);
  size_t n = 0;
  for (unsigned o = 0; o < RF_OCTAVES; o++)
    for (unsigned i = 0; a->octave[o] && i < RF_SUBBUCKETS; i++) {
      if (!a->octave[o]->count[i]) continue;
      double lower = (double)rf_bucket_lower((struct rf_bucket){o, i});
      double upper = (double)rf_bucket_upper((struct rf_bucket){o, i});
      out[n++] = (struct rf_duration_bucket){.middle_s = corrected((lower + upper - 1) / 2, inside, unit),
                                             .upper_s = corrected(upper, inside, unit),
                                             .weight = a->octave[o]->weight[i],
                                             .count = a->octave[o]->count[i]};
    }
  return n;
}

static void merge_buckets(struct rf_report *report, struct rf_report_function *f, const struct accumulator *a,
                          const struct rf_header *h, struct rf_arena *scratch) {
  size_t octaves = 0; /* few of them, mostly: room for all took more time than all else of a report */
  for (unsigned o = 0; o < RF_OCTAVES; o++) octaves += a->octave[o] != NULL;
  struct rf_duration_bucket *own = rf_arena_alloc(scratch, sizeof *own * (octaves * RF_SUBBUCKETS + 1));
  size_t count = buckets_of(a, h, own);
  if (!count) return;
  struct rf_duration_bucket *merged = rf_arena_alloc(report->arena, (count + f->buckets) * sizeof *merged);
  f->buckets = rf_buckets_merge(merged, f->bucket, f->buckets, own, count);
  f->bucket = merged;
}

static void add_known_heap(struct rf_function_heap *to, const struct rf_function_heap *from) {
  to->alloc_calls += from->alloc_calls;
  to->requested_bytes += from->requested_bytes;
  to->alloc_bytes += from->alloc_bytes;
  to->free_bytes += from->free_bytes;
  to->net_bytes = to->alloc_bytes - to->free_bytes;
  to->peak_bytes = rf_max_known(to->peak_bytes, from->peak_bytes);
}

static void add_known_system(struct rf_function_system *to, const struct rf_function_system *from) {
  to->cpu_s += from->cpu_s;
  to->gpu_busy_s += from->gpu_busy_s;
  to->gpu_time_s += from->gpu_time_s;
  to->faults += from->faults;
  to->switches += from->switches;
  to->read_bytes += from->read_bytes;
  to->write_bytes += from->write_bytes;
  to->sent_bytes += from->sent_bytes;
  to->received_bytes += from->received_bytes;
  to->peak_rss_bytes = rf_max_known(to->peak_rss_bytes, from->peak_rss_bytes);
}

static void merge_one(struct rf_function_merge *merge, const struct accumulator *a, const struct rf_header *h,
                      struct rf_arena *scratch) {
  struct rf_report_function *f = &merge->report->function[a->target];
  struct moments *m = &merge->moments[a->target];
  uint64_t calls = a->entered + a->counted;
  /* Threads on which no call was timed are taken to be like the others. */
  double scale = a->sampled_calls ? (double)calls / (double)a->sampled_calls : 1;
  bool total_unknown = a->total_unknown || (a->total_variance > 0 && !(a->sum_outer_s > 0));
  f->calls += calls;
  f->timed_calls += a->durations;
  f->unwound += (uint64_t)llround(a->unwound);
  f->open += a->open;
  f->threads += a->threads;
  f->total_s += total_unknown ? NAN : scale * a->sum_outer_s;
  f->self_s += a->self_unknown || a->flags & RF_FUNCTION_BLOCK ? NAN : scale * a->sum_self_s;
  f->min_s = rf_min_known(f->min_s, a->min_s);
  f->max_s = rf_max_known(f->max_s, a->max_s);
  join_moments(&m->weight, &m->sum_s, &m->m2, scale * a->weight, scale * a->sum_s, scale * a->m2);
  m->total_variance += scale * scale * a->total_variance;
  m->timed += a->effective;
  m->entered += a->entered;
  merge->report->sampled |= a->counted != 0;
  f->has_heap |= (a->flags & RF_FUNCTION_HEAP) != 0;
  f->has_system |= (a->flags & RF_FUNCTION_SYSTEM) != 0;
  f->by_slots |= (a->flags & RF_FUNCTION_SLOTS) != 0;
  f->is_block |= (a->flags & RF_FUNCTION_BLOCK) != 0;
  add_known_heap(&f->heap, &a->heap);
  add_known_system(&f->system, &a->system);
  merge_buckets(merge->report, f, a, h, scratch);
}

static void merge_edges(struct rf_function_merge *merge, const struct rf_reader *reader,
                        const struct accumulator *list, size_t count) {
  struct rf_report *report = merge->report;
  const struct rf_header *h = rf_reader_header(reader);
  struct rf_cursor cursor = rf_cursor_at(reader, h->root[RF_TABLE_EDGE], RF_TABLE_EDGE);
  struct rf_edge_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    if (entry.caller >= count || entry.callee >= count || !entry.calls) continue;
    double unit = rf_unit_seconds(h, list[entry.callee].mode);
    double inside = inside_units(h, list[entry.callee].mode);
    double sum = (double)((unsigned __int128)entry.sum_high << 64 | entry.sum);
    struct rf_report_edge *edge = rf_arena_push(report->arena, &report->edge, report->edges++, sizeof *edge);
    *edge = (struct rf_report_edge){list[entry.caller].target, list[entry.callee].target, entry.calls,
                                    corrected(sum, inside * (double)entry.calls, unit)};
  }
}

static void finish_function(struct rf_report_function *f, const struct moments *m);

/* --- spans: durations like any function's, in a report of their own --- */

/* Nothing of a probe lies in a span, so nothing is taken out. */
static void add_span(struct rf_function_merge *spans, const struct rf_reader *reader,
                     const struct rf_span_entry *entry, struct rf_arena *scratch) {
  struct rf_header h = *rf_reader_header(reader);
  const struct rf_slot *slot = &entry->slot;
  struct rf_report_function f = {
      .name = rf_reader_string(reader, entry->name), .module = "", .mode = mode_name(RF_CLOCK_PERF_COUNTER)};
  size_t index = find_function(spans, &f);
  f.name = rf_arena_text(spans->report->arena, f.name);
  if (index == NO_INDEX) index = add_function(spans, &f);
  struct accumulator a = {.target = index,
                          .entered = slot->entered,
                          .sampled_calls = slot->entered,
                          .durations = slot->durations,
                          .effective = effective_calls(slot),
                          .open = entry->in_flight,
                          .min_s = NAN,
                          .max_s = NAN,
                          .heap.peak_bytes = NAN,
                          .system.peak_rss_bytes = NAN};
  h.probe_inside_cycles = 0;
  add_durations(&a, &h, slot, 1);
  a.sum_outer_s = a.sum_s; /* the slot's own knows no carry */
  add_histogram(&a, reader, slot, 1, scratch);
  merge_one(spans, &a, &h, scratch);
}

static void note_span(struct rf_report *report, const struct rf_reader *reader,
                      const struct rf_span_entry *entry) {
  size_t i = 0;
  const char *name = rf_reader_string(reader, entry->name);
  while (i < report->spans->functions && strcmp(report->spans->function[i].name, name) != 0) i++;
  struct rf_report_span *span = &report->spans->span[i];
  span->begin = rf_arena_text(report->arena, rf_reader_string(reader, entry->begin));
  span->end = rf_arena_text(report->arena, rf_reader_string(reader, entry->end));
  if (entry->in_flight_max > span->in_flight_max) span->in_flight_max = entry->in_flight_max;
  span->open += entry->in_flight;
  span->duplicate_keys += entry->duplicate_keys;
  span->unmatched_ends += entry->unmatched_ends;
  span->dropped += entry->dropped;
}

static void begin_spans(struct rf_function_merge *merge) {
  struct rf_report *report = merge->report, *spans = rf_arena_alloc(report->arena, sizeof *spans);
  spans->arena = report->arena;
  report->spans = spans;
  merge->spans = rf_merge_functions_begin(spans);
}

static void merge_spans(struct rf_function_merge *merge, const struct rf_reader *reader,
                        struct rf_arena *scratch) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_SPAN], RF_TABLE_SPAN);
  struct rf_span_entry entry;
  struct rf_report *report = merge->report;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    if (!merge->spans) begin_spans(merge);
    size_t before = report->spans->functions;
    add_span(merge->spans, reader, &entry, scratch);
    if (report->spans->functions > before)
      rf_arena_push(report->arena, &report->spans->span, before, sizeof *report->spans->span);
    note_span(report, reader, &entry);
  }
}

static void end_spans(struct rf_function_merge *merge) {
  struct rf_report *spans = merge->report->spans;
  for (size_t i = 0; spans && i < spans->functions; i++)
    finish_function(&spans->function[i], &merge->spans->moments[i]);
}

struct rf_function_merge *rf_merge_functions_begin(struct rf_report *report) {
  struct rf_function_merge *merge = rf_arena_alloc(report->arena, sizeof *merge);
  merge->report = report;
  merge->table_size = 256;
  merge->table = rf_arena_alloc(report->arena, merge->table_size * sizeof *merge->table);
  return merge;
}

void rf_merge_functions(struct rf_function_merge *merge, const struct rf_reader *reader) {
  struct rf_arena *scratch = rf_arena_new();
  size_t count;
  struct accumulator *list = read_functions(merge, reader, scratch, &count);
  read_threads(reader, list, count, scratch);
  for (size_t i = 0; i < count; i++) merge_one(merge, &list[i], rf_reader_header(reader), scratch);
  merge_edges(merge, reader, list, count);
  size_t *targets = rf_arena_alloc(scratch, (count + 1) * sizeof *targets);
  for (size_t i = 0; i < count; i++) targets[i] = list[i].target;
  rf_merge_rules(merge->report, reader, targets, count);
  merge_spans(merge, reader, scratch);
  rf_arena_free(scratch);
}

/* --- the end: what only the whole tells --- */

/* 95% interval of the mean over a random sample without replacement of timed among calls. */
static double confidence_of_mean(const struct rf_report_function *f, const struct moments *m) {
  if (m->entered >= f->calls) return 0;
  if (m->timed < 2 || !(f->mean_s > 0)) return NAN;
  double n = m->timed, share = n / (double)f->calls;
  return 1.96 * f->stddev_s / f->mean_s * sqrt((1 - share) / n);
}

/* Where recursion makes the total less sure than the mean, it is what counts. */
static double confidence(const struct rf_report_function *f, const struct moments *m) {
  double mean = confidence_of_mean(f, m);
  if (!(m->total_variance > 0)) return mean;
  return f->total_s > 0 ? fmax(mean, 1.96 * sqrt(m->total_variance) / f->total_s) : NAN;
}

static double within(double value, double min, double max) {
  if (value < min) return min;
  return value > max ? max : value;
}

/* A call's thread can't use more than one core: more than that means calls too short for the CPU clock, which
 * ticks coarsely and counts what reading it costs. */
static double cpu_ratio(const struct rf_report_function *f) {
  if (!(f->total_s > 0) || f->system.cpu_s > 1.1 * f->total_s) return NAN;
  return fmin(f->system.cpu_s / f->total_s, 1);
}

static void finish_function(struct rf_report_function *f, const struct moments *m) {
  bool any = m->weight > 0;
  f->mean_s = any ? m->sum_s / m->weight : NAN;
  f->stddev_s = any ? sqrt(m->m2 / (m->weight > 1 ? m->weight - 1 : 1)) : NAN;
  if (!any && f->calls) f->total_s = f->self_s = NAN;
  f->ci95_ratio = confidence(f, m);
  double *const quantiles[] = {&f->p50_s, &f->p90_s, &f->p95_s, &f->p99_s, &f->p999_s};
  static const double shares[] = {0.5, 0.9, 0.95, 0.99, 0.999};
  for (size_t i = 0; i < 5; i++)
    *quantiles[i] = within(rf_quantile(f->bucket, f->buckets, shares[i]), f->min_s, f->max_s);
  f->system.cpu_ratio = cpu_ratio(f);
  f->system.gpu_ratio = f->system.gpu_time_s > 0 ? f->system.gpu_busy_s / f->system.gpu_time_s : NAN;
}

struct ordered {
  struct rf_report_function function;
  size_t was;
};

static int by_total(const void *left, const void *right) {
  const struct ordered *a = left, *b = right;
  double x = isnan(a->function.total_s) ? -1 : a->function.total_s,
         y = isnan(b->function.total_s) ? -1 : b->function.total_s;
  if (x != y) return x > y ? -1 : 1;
  if (a->function.calls != b->function.calls) return a->function.calls > b->function.calls ? -1 : 1;
  int names = strcmp(a->function.name, b->function.name);
  return names ? names : (a->was > b->was) - (a->was < b->was);
}

static int by_ends(const void *left, const void *right) {
  const struct rf_report_edge *a = left, *b = right;
  if (a->caller != b->caller) return a->caller < b->caller ? -1 : 1;
  return (a->callee > b->callee) - (a->callee < b->callee);
}

static void join_edges(struct rf_report *report) {
  if (!report->edges) return;
  qsort(report->edge, report->edges, sizeof *report->edge, by_ends);
  size_t last = 0;
  for (size_t i = 1; i < report->edges; i++) {
    struct rf_report_edge *to = &report->edge[last], *from = &report->edge[i];
    if (by_ends(to, from) == 0) {
      to->calls += from->calls;
      to->total_s += from->total_s;
    } else {
      report->edge[++last] = *from;
    }
  }
  report->edges = last + 1;
}

static void sort_functions(struct rf_report *report) {
  size_t count = report->functions;
  struct ordered *list = rf_arena_alloc(report->arena, count * sizeof *list);
  size_t *now = rf_arena_alloc(report->arena, count * sizeof *now);
  for (size_t i = 0; i < count; i++) list[i] = (struct ordered){report->function[i], i};
  qsort(list, count, sizeof *list, by_total);
  for (size_t i = 0; i < count; i++) {
    report->function[i] = list[i].function;
    now[list[i].was] = i;
  }
  for (size_t i = 0; i < report->edges; i++) {
    report->edge[i].caller = now[report->edge[i].caller];
    report->edge[i].callee = now[report->edge[i].callee];
  }
}

static bool any_unknown_self(const struct rf_report *report) {
  for (size_t i = 0; i < report->functions; i++)
    if (isnan(report->function[i].self_s) && !isnan(report->function[i].total_s) &&
        !report->function[i].is_block)
      return true;
  return false;
}

/* The mean is known, so it is recursion. */
static bool any_unknown_total(const struct rf_report *report) {
  for (size_t i = 0; i < report->functions; i++)
    if (isnan(report->function[i].total_s) && !isnan(report->function[i].mean_s)) return true;
  return false;
}

void rf_merge_functions_end(struct rf_function_merge *merge) {
  struct rf_report *report = merge->report;
  for (size_t i = 0; i < report->functions; i++) finish_function(&report->function[i], &merge->moments[i]);
  if (report->functions) sort_functions(report);
  join_edges(report);
  end_spans(merge);
  rf_merge_rules_end(report);
  for (size_t i = 0; i < report->functions; i++)
    if (report->function[i].is_block)
      rf_report_unavailable(report, "functions[].self_s",
                            "of blocks that refunc.h times self time is not measured: they are no functions");
  if (any_unknown_self(report))
    rf_report_unavailable(
        report, "functions[].self_s",
        "under timing.budget, times of functions whose callers are not timed can't be told from those of "
        "their callers' callers; timing.budget=off times every call");
  if (any_unknown_total(report)) {
    static const char reason[] =
        "under timing.budget, too few stacks were looked at to tell outermost calls of "
        "a recursive function from those inside of them; timing.budget=off times every call";
    rf_report_unavailable(report, "functions[].total_s", reason);
    rf_report_unavailable(report, "functions[].ci95_ratio", reason);
  }
}
