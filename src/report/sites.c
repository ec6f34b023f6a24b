/* See sites.h. */
#include "report/sites.h"

#include "report/suppress.h"
#include "report/symbolize.h"
#include "report/trend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MOST 4096

/* One site of one recording, summed over its threads. */
struct sum {
  uint64_t lost_blocks, lost_bytes;
  rf_ref stack;
  uint32_t flags;
  rf_ref history;
  struct rf_site_part part;
  double live, on_top, at_peak; /* on_top: of its folded bytes, at most */
  int64_t folded, peak;
};

struct rf_site_merge {
  struct rf_report *report;
  uint32_t *slot; /* hash table of indices into report->heap.site, + 1 */
  size_t slots;
  struct rf_report_site rest;
};

struct rf_site_merge *rf_sites_begin(struct rf_report *report) {
  struct rf_site_merge *merge = rf_arena_alloc(report->arena, sizeof *merge);
  merge->report = report;
  merge->slots = 4 * RF_SITES_MOST;
  merge->slot = rf_arena_alloc(report->arena, merge->slots * sizeof *merge->slot);
  merge->rest.reachable = -1;
  return merge;
}

/* --- sums of one recording --- */

static struct sum *read_entries(const struct rf_reader *reader, size_t *count) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_SITE], RF_TABLE_SITE);
  struct rf_site_entry entry;
  struct sum *sums = NULL;
  size_t capacity = 0;
  *count = 0;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    if (*count == capacity) {
      capacity = capacity ? 2 * capacity : 1024;
      struct sum *grown = realloc(sums, capacity * sizeof *sums);
      if (!grown) break;
      sums = grown;
    }
    sums[(*count)++] = (struct sum){.stack = entry.stack,
                                    .flags = entry.flags,
                                    .history = entry.history,
                                    .lost_blocks = entry.lost_blocks,
                                    .lost_bytes = entry.lost_bytes,
                                    .folded = entry.folded_bytes,
                                    .peak = entry.peak_bytes};
  }
  return sums;
}

static void add_part(struct sum *sum, const struct rf_site_part *part, uint64_t epoch) {
  struct rf_site_part *to = &sum->part;
  int64_t live = (int64_t)(part->alloc_bytes - part->free_bytes);
  to->alloc_calls += part->alloc_calls;
  to->requested_bytes += part->requested_bytes;
  to->alloc_bytes += part->alloc_bytes;
  to->free_calls += part->free_calls;
  to->free_bytes += part->free_bytes;
  to->temporary_calls += part->temporary_calls;
  to->lifetime_ticks += part->lifetime_ticks;
  to->lifetimes += part->lifetimes;
  to->variance_bytes += part->variance_bytes;
  sum->live += (double)live;
  sum->on_top += part->high > part->folded ? (double)(part->high - part->folded) : 0;
  sum->at_peak += (double)(part->epoch == epoch ? part->at_peak_bytes : live);
}

static void add_parts(const struct rf_reader *reader, struct sum *sums, size_t count) {
  const struct rf_header *header = rf_reader_header(reader);
  struct rf_cursor threads = rf_cursor_at(reader, header->root[RF_TABLE_THREAD], RF_TABLE_THREAD);
  struct rf_thread_entry thread;
  while (rf_cursor_next(&threads, &thread, sizeof thread)) {
    struct rf_cursor parts = rf_cursor_at(reader, thread.site_parts, RF_TABLE_SITE_PART);
    struct rf_site_part part;
    while (rf_cursor_next(&parts, &part, sizeof part))
      if (part.site >= 1 && part.site <= count)
        add_part(&sums[part.site - 1], &part, header->heap_peak_epoch);
  }
}

/* --- one site into the report's form --- */

static double positive(double value) { return value > 0 ? value : 0; }

static struct rf_report_site site_of(const struct sum *sum, double tick_s) {
  bool sampled = sum->flags & RF_SITE_SAMPLED;
  double unit = sampled ? 1.0 / RF_SITE_CALL_SCALE : 1;
  const struct rf_site_part *part = &sum->part;
  double live = positive(sum->live);
  return (struct rf_report_site){
      .sampled = sampled,
      .alloc_calls = (double)part->alloc_calls * unit,
      .requested_bytes = (double)part->requested_bytes,
      .alloc_bytes = (double)part->alloc_bytes,
      .live_bytes = live,
      .live_blocks = positive((double)(int64_t)(part->alloc_calls - part->free_calls) * unit),
      .peak_bytes = fmax(fmax((double)sum->peak, (double)sum->folded + sum->on_top), live),
      .at_peak_bytes = positive(sum->at_peak),
      .temporary_calls = (double)part->temporary_calls * unit,
      .lifetimes = part->lifetimes,
      .lifetime_s = part->lifetime_ticks * tick_s,
      .variance_bytes = part->variance_bytes,
      .lost_blocks = (double)sum->lost_blocks * unit,
      .lost_bytes = (double)sum->lost_bytes,
      .reachable = sum->flags & RF_SITE_CHECKED ? !sum->lost_blocks : -1,
  };
}

static void add_site(struct rf_report_site *to, const struct rf_report_site *from) {
  double *a = &to->alloc_calls;
  const double *b = &from->alloc_calls;
  for (size_t i = 0;
       i <
       (offsetof(struct rf_report_site, trend) - offsetof(struct rf_report_site, alloc_calls)) / sizeof *a;
       i++)
    a[i] += b[i];
  to->sampled |= from->sampled;
  if (from->reachable >= 0)
    to->reachable = to->reachable < 0 ? from->reachable : to->reachable & from->reachable;
}

static void read_trend(struct rf_report *report, const struct rf_reader *reader, rf_ref ref,
                       struct rf_report_site *site) {
  size_t words = sizeof(struct rf_site_history) / sizeof(uint64_t);
  const struct rf_site_history *history = (const void *)rf_reader_words(reader, ref, words);
  struct rf_report_trend trend;
  if (!history || !rf_trend_of(history->time_s, history->live_bytes, history->count, &trend)) return;
  struct rf_report_trend *kept = rf_arena_alloc(report->arena, sizeof *kept);
  *kept = trend;
  site->trend = kept;
}

/* --- stacks --- */

struct mapped {
  struct rf_module_entry entry;
  rf_ref place; /* where the recording has it: later ones stand further behind */
  uint32_t module;
};

struct rf_mapped_modules {
  struct mapped *list;
  size_t count;
};

static uint32_t module_index(struct rf_report *report, const struct rf_reader *reader,
                             const struct rf_module_entry *entry) {
  struct rf_report_heap *heap = &report->heap;
  const char *path = rf_reader_string(reader, entry->path);
  uint32_t id_bytes = entry->build_id_bytes <= sizeof entry->build_id ? entry->build_id_bytes : 0;
  for (size_t i = 0; i < heap->modules; i++)
    if (!strcmp(heap->module[i].path, path) && heap->module[i].build_id_bytes == id_bytes &&
        !memcmp(heap->module[i].build_id, entry->build_id, id_bytes))
      return (uint32_t)i;
  struct rf_report_module *module =
      rf_arena_push(report->arena, &heap->module, heap->modules, sizeof *module);
  module->path = rf_arena_text(report->arena, path);
  module->build_id_bytes = id_bytes;
  memcpy(module->build_id, entry->build_id, id_bytes);
  return (uint32_t)heap->modules++;
}

static struct rf_mapped_modules read_modules(struct rf_report *report, const struct rf_reader *reader) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_MODULE], RF_TABLE_MODULE);
  struct rf_mapped_modules modules = {0};
  struct rf_module_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    struct mapped *m = rf_arena_push(report->arena, &modules.list, modules.count++, sizeof *m);
    *m = (struct mapped){entry, entry.path, module_index(report, reader, &entry)};
  }
  return modules;
}

/* The latest module there that was told before the node was made. */
static struct rf_report_frame frame_of(const struct rf_mapped_modules *modules, rf_ref node,
                                       uint64_t address) {
  const struct mapped *found = NULL;
  for (size_t i = 0; i < modules->count; i++) {
    const struct mapped *m = &modules->list[i];
    if (address - 1 >= m->entry.start && address - 1 < m->entry.end && (!found || m->place < node)) found = m;
  }
  if (!found) return (struct rf_report_frame){RF_NO_MODULE, address};
  return (struct rf_report_frame){found->module, address - found->entry.load_address};
}

const struct rf_mapped_modules *rf_mapped_modules_read(struct rf_report *report,
                                                       const struct rf_reader *reader) {
  struct rf_mapped_modules *modules = rf_arena_alloc(report->arena, sizeof *modules);
  *modules = read_modules(report, reader);
  return modules;
}

struct rf_report_frame rf_mapped_frame(const struct rf_mapped_modules *modules, rf_ref place,
                                       uint64_t address) {
  return frame_of(modules, place, address);
}

static void read_stack(struct rf_report *report, const struct rf_reader *reader,
                       const struct rf_mapped_modules *modules, rf_ref node, struct rf_report_site *site) {
  struct rf_report_frame frame[DEPTH_MOST];
  while (node > RF_STACK_CUT && site->depth < DEPTH_MOST) {
    const uint64_t *words = rf_reader_words(reader, node, 2);
    if (!words) break;
    rf_ref parent = (rf_ref)words[0];
    frame[site->depth++] = frame_of(modules, node, words[1]);
    if (parent >= node) break; /* outer frames were recorded earlier: anything else is damage */
    node = parent;
  }
  site->truncated = node != RF_STACK_END;
  site->frame = rf_arena_alloc(report->arena, site->depth * sizeof *frame + 1);
  memcpy(site->frame, frame, site->depth * sizeof *frame);
}

/* --- merging --- */

static uint64_t hash_of(const struct rf_report_site *site) {
  uint64_t hash = 0xcbf29ce484222325u ^ site->truncated;
  for (size_t i = 0; i < site->depth; i++)
    hash = (hash ^ site->frame[i].address ^ (uint64_t)site->frame[i].module << 48) * 0x100000001b3u,
    hash ^= hash >> 29;
  return hash;
}

static bool same_stack(const struct rf_report_site *a, const struct rf_report_site *b) {
  if (a->depth != b->depth || a->truncated != b->truncated) return false;
  for (size_t i = 0; i < a->depth; i++)
    if (a->frame[i].address != b->frame[i].address || a->frame[i].module != b->frame[i].module) return false;
  return true;
}

static void merge_site(struct rf_site_merge *merge, const struct rf_report_site *site) {
  struct rf_report_heap *heap = &merge->report->heap;
  size_t i = hash_of(site) % merge->slots;
  for (; merge->slot[i]; i = (i + 1) % merge->slots)
    if (same_stack(&heap->site[merge->slot[i] - 1], site)) {
      add_site(&heap->site[merge->slot[i] - 1], site);
      return;
    }
  if (heap->sites >= 2 * RF_SITES_MOST) {
    add_site(&merge->rest, site);
    merge->rest.others++;
    return;
  }
  struct rf_report_site *fresh =
      rf_arena_push(merge->report->arena, &heap->site, heap->sites++, sizeof *fresh);
  *fresh = *site;
  merge->slot[i] = (uint32_t)heap->sites;
}

static double weight_of(const struct sum *sum) {
  return fmax(sum->at_peak, sum->live) + 1e-6 * (double)sum->part.alloc_bytes;
}

static int by_weight(const void *a, const void *b) {
  double x = weight_of(a), y = weight_of(b);
  return (x < y) - (x > y);
}

void rf_sites_add(struct rf_site_merge *merge, const struct rf_reader *reader) {
  size_t count;
  struct sum *sums = read_entries(reader, &count);
  add_parts(reader, sums, count);
  if (count > RF_SITES_MOST) qsort(sums, count, sizeof *sums, by_weight);
  struct rf_mapped_modules modules = read_modules(merge->report, reader);
  double tick_s = RF_TICK_CYCLES / rf_reader_header(reader)->cycles_per_second;
  for (size_t i = 0; i < count; i++) {
    struct rf_report_site site = site_of(&sums[i], tick_s);
    if (!sums[i].part.alloc_calls && !sums[i].part.free_calls) continue;
    if (i >= RF_SITES_MOST) {
      add_site(&merge->rest, &site);
      merge->rest.others++;
      continue;
    }
    read_stack(merge->report, reader, &modules, sums[i].stack, &site);
    if (sums[i].history) read_trend(merge->report, reader, sums[i].history, &site);
    merge_site(merge, &site);
  }
  free(sums);
}

static int by_peak(const void *a, const void *b) {
  const struct rf_report_site *x = a, *y = b;
  double m = x->at_peak_bytes, n = y->at_peak_bytes;
  if (m == n) m = x->alloc_bytes, n = y->alloc_bytes;
  return (m < n) - (m > n);
}

/* Relative to where the run's root process started, as the app would have found it. */
static void suppress(struct rf_report *report) {
  const char *path = rf_report_option(report, "heap.suppressions"), *problem = NULL;
  if (*path && *path != '/' && report->processes && *report->process[0].cwd)
    path = rf_arena_printf(report->arena, "%s/%s", report->process[0].cwd, path);
  struct rf_suppressions *suppressions = rf_suppressions_read(report->arena, path, &problem);
  if (problem) rf_report_unavailable(report, "heap.suppressions", problem);
  for (size_t i = 0; suppressions && i < report->heap.sites; i++) {
    struct rf_report_site *site = &report->heap.site[i];
    if (rf_site_leaks(site)) site->suppressed = rf_suppressed(suppressions, report, site);
  }
}

void rf_sites_end(struct rf_site_merge *merge) {
  struct rf_report_heap *heap = &merge->report->heap;
  if (heap->sites) qsort(heap->site, heap->sites, sizeof *heap->site, by_peak);
  merge->report->symbolizer = rf_symbolizer_new(merge->report->arena, heap->modules);
  suppress(merge->report);
  if (!merge->rest.others) return;
  struct rf_report_site *rest = rf_arena_push(merge->report->arena, &heap->site, heap->sites++, sizeof *rest);
  *rest = merge->rest;
}

double rf_site_lifetime_s(const struct rf_report_site *site) {
  return site->lifetimes > 0 ? site->lifetime_s / site->lifetimes : NAN;
}

double rf_site_stderr(const struct rf_report_site *site) { return sqrt(site->variance_bytes); }

/* The value below which a share of a gamma distribution lies; z: that of the normal one (Wilson and
 * Hilferty). */
static double gamma_quantile(double mean, double variance, double z) {
  double shape = mean * mean / variance, root = 1 - 1 / (9 * shape) + z / (3 * sqrt(shape));
  return root > 0 ? mean * root * root * root : 0;
}

/*
 * A site's samples are a count, binomial or nearly Poisson; with few of them the estimate is skewed, and plus
 * or minus two standard errors would cover the truth in 63 to 89 of 100 cases. So the bounds are those for
 * such a count (Garwood's, for sums with weights Fay and Feuer's), where the upper one has room for one more
 * sample. What one sample of a block of so many bytes stands for, and which share of that is uncertain,
 * follows from the sums. Where no block can have been missed there is no doubt.
 */
void rf_site_interval(const struct rf_report_site *site, double *low, double *high) {
  const double z = 1.959964, none = 0.0253; /* expected misses with which there is none in 97.5% of cases */
  double bytes = site->alloc_bytes, variance = site->variance_bytes;
  *low = *high = bytes;
  if (!(variance > 0) || !(bytes > 0) || !(site->alloc_calls > 0)) return;
  double uncertain = variance / bytes, one = bytes / site->alloc_calls + uncertain;
  *low = gamma_quantile(bytes, variance, -z);
  if (site->alloc_calls * uncertain / one < none) return;
  *high = gamma_quantile(bytes + one, variance + uncertain * one, z);
}

#define CONFIDENT 0.95

bool rf_site_leaks(const struct rf_report_site *site) {
  bool grows = site->trend && site->trend->growth_bytes_per_s > 0 && site->trend->confidence >= CONFIDENT;
  return site->live_bytes > 0 && !site->others && !site->suppressed && (grows || site->reachable == 0);
}
