/*
 * Puts a report together from opened recordings: processes, options, facts, what was skipped. Functions, heap
 * and system are merged in files of their own. The root process (no recorded ancestor, else the earliest)
 * comes first.
 */
#include "report/model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "recording/process.h"
#include "report/hidden.h"
#include "report/model_parts.h"
#include "report/sites.h"
#include "report/symbolize.h"

/* --- an empty report --- */

static void unknown_doubles(void *start, size_t bytes) {
  double *value = start;
  for (size_t i = 0; i < bytes / sizeof *value; i++) value[i] = NAN;
}

static void empty_heap(struct rf_report_heap *heap) {
  unknown_doubles(&heap->alloc_calls,
                  offsetof(struct rf_report_heap, size_class) - offsetof(struct rf_report_heap, alloc_calls));
  unknown_doubles(&heap->inherited_live_bytes, offsetof(struct rf_report_heap, unseen) -
                                                   offsetof(struct rf_report_heap, inherited_live_bytes));
  heap->mode = heap->allocator = "";
}

struct rf_report *rf_report_new(void) {
  struct rf_arena *arena = rf_arena_new();
  struct rf_report *report = rf_arena_alloc(arena, sizeof *report);
  report->arena = arena;
  report->hostname = report->kernel = report->cpu_model = report->refunc_version = "";
  report->os = report->libc_version = report->cpu_governor = report->transparent_huge_pages =
      report->virtual_machine = "";
  report->cpu_max_hz = report->cpu_limit = report->load_1m = NAN;
  report->cpu_count = report->memory_bytes = NAN;
  empty_heap(&report->heap);
  unknown_doubles(&report->system.interval_s,
                  offsetof(struct rf_report_system, gpu) - offsetof(struct rf_report_system, interval_s));
  unknown_doubles(&report->self, sizeof report->self);
  return report;
}

void rf_report_free(struct rf_report *report) {
  if (!report) return;
  rf_symbolizer_free(report->symbolizer);
  rf_arena_free(report->arena);
}

/* --- what is unavailable, and why --- */

void rf_report_unavailable(struct rf_report *report, const char *path, const char *reason) {
  for (size_t i = 0; i < report->unavailables; i++)
    if (strcmp(report->unavailable[i].path, path) == 0) return;
  struct rf_report_unavailable *u =
      rf_arena_push(report->arena, &report->unavailable, report->unavailables, sizeof *u);
  *u = (struct rf_report_unavailable){rf_arena_text(report->arena, path),
                                      rf_arena_text(report->arena, reason)};
  report->unavailables++;
}

const char *rf_report_reason(const struct rf_report *report, const char *path) {
  size_t best_length = 0;
  const char *best = NULL;
  for (size_t i = 0; i < report->unavailables; i++) {
    const char *known = report->unavailable[i].path;
    size_t length = strlen(known);
    bool covers = strncmp(known, path, length) == 0 &&
                  (path[length] == 0 || path[length] == '.' || path[length] == '[');
    if (!covers || length < best_length) continue;
    best_length = length;
    best = report->unavailable[i].reason;
  }
  return best;
}

const char *rf_report_option(const struct rf_report *report, const char *key) {
  for (size_t i = 0; i < report->options; i++)
    if (strcmp(report->option[i].key, key) == 0) return report->option[i].value;
  return "";
}

/* --- one recording's cold tables --- */

static void read_options(struct rf_report *report, const struct rf_reader *reader) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_OPTION], RF_TABLE_OPTION);
  struct rf_option_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    struct rf_report_option *o = rf_arena_push(report->arena, &report->option, report->options, sizeof *o);
    o->key = rf_arena_text(report->arena, rf_reader_string(reader, entry.key));
    o->value = rf_arena_text(report->arena, rf_reader_string(reader, entry.value));
    o->origin = rf_arena_text(report->arena, rf_reader_string(reader, entry.origin));
    report->options++;
  }
}

static void read_skipped(struct rf_report *report, const struct rf_reader *reader) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_SKIPPED], RF_TABLE_SKIPPED);
  struct rf_skipped_entry entry;
  size_t known = report->skips; /* the first recording's need no search: its table has each once */
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    const char *name = rf_reader_string(reader, entry.name), *module = rf_reader_string(reader, entry.module);
    const char *reason = rf_reader_string(reader, entry.reason);
    bool seen = !*name; /* taken back: an IFUNC that could be timed later */
    for (size_t i = 0; i < known && !seen; i++)
      seen = strcmp(report->skipped[i].name, name) == 0 && strcmp(report->skipped[i].module, module) == 0;
    if (seen) continue;
    struct rf_report_skipped *s = rf_arena_push(report->arena, &report->skipped, report->skips, sizeof *s);
    s->name = rf_arena_text(report->arena, name);
    s->module = rf_arena_text(report->arena, module);
    s->reason = rf_arena_text(report->arena, reason);
    report->skips++;
  }
}

static struct rf_report_unmatched *find_unmatched(struct rf_report *report, const char *pattern) {
  for (size_t i = 0; i < report->unmatches; i++)
    if (strcmp(report->unmatched[i].pattern, pattern) == 0) return &report->unmatched[i];
  return NULL;
}

static void read_unmatched(struct rf_report *report, const struct rf_reader *reader) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_UNMATCHED], RF_TABLE_UNMATCHED);
  struct rf_unmatched_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    const char *pattern = rf_reader_string(reader, entry.pattern);
    if (!*pattern) continue; /* taken back: a library opened later matched it */
    struct rf_report_unmatched *u = find_unmatched(report, pattern);
    if (!u) {
      u = rf_arena_push(report->arena, &report->unmatched, report->unmatches++, sizeof *u);
      u->pattern = rf_arena_text(report->arena, pattern);
      u->reason = rf_arena_text(report->arena, rf_reader_string(reader, entry.reason));
      u->nearest = rf_arena_text(report->arena, rf_reader_string(reader, entry.nearest));
    }
    u->seen++;
  }
}

static void read_unavailable(struct rf_report *report, const struct rf_reader *reader) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_UNAVAILABLE], RF_TABLE_UNAVAILABLE);
  struct rf_fact_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry))
    rf_report_unavailable(report, rf_reader_string(reader, entry.key), rf_reader_string(reader, entry.value));
}

/* --- facts --- */

static double number_or_unknown(const char *text) {
  char *end;
  errno = 0;
  double value = strtod(text, &end);
  return end == text || errno || !isfinite(value) ? NAN : value;
}

static void take_argument(struct rf_report *report, struct rf_report_process *process, const char *value) {
  const char **argument = rf_arena_push(report->arena, &process->argv, process->argc, sizeof *argument);
  *argument = rf_arena_text(report->arena, value);
  process->argc++;
}

static bool take_process_fact(struct rf_report *report, struct rf_report_process *process, const char *key,
                              const char *value) {
  if (strcmp(key, "exe") == 0)
    process->exe = rf_arena_text(report->arena, value);
  else if (strcmp(key, "cwd") == 0)
    process->cwd = rf_arena_text(report->arena, value);
  else if (strcmp(key, "argv") == 0)
    take_argument(report, process, value);
  else
    return false;
  return true;
}

/* Facts about the machine come from the first recording that states them. */
static void take_environment_fact(struct rf_report *report, const char *key, const char *value) {
  const struct {
    const char *key;
    const char **target;
  } texts[] = {{"hostname", &report->hostname},
               {"kernel", &report->kernel},
               {"cpu_model", &report->cpu_model},
               {"refunc_version", &report->refunc_version},
               {"os", &report->os},
               {"libc_version", &report->libc_version},
               {"cpu_governor", &report->cpu_governor},
               {"transparent_huge_pages", &report->transparent_huge_pages},
               {"virtual_machine", &report->virtual_machine},
               {"heap.mode", &report->heap.mode},
               {"heap.allocator", &report->heap.allocator}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (strcmp(key, texts[i].key) == 0 && !**texts[i].target)
      *texts[i].target = rf_arena_text(report->arena, value);
  const struct {
    const char *key;
    double *target;
  } numbers[] = {{"cpu_count", &report->cpu_count},
                 {"memory_bytes", &report->memory_bytes},
                 {"cpu_max_hz", &report->cpu_max_hz},
                 {"cpu_limit", &report->cpu_limit},
                 {"load_1m", &report->load_1m}};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (strcmp(key, numbers[i].key) == 0 && isnan(*numbers[i].target))
      *numbers[i].target = number_or_unknown(value);
}

const char *const rf_allocator_figure_names[RF_ALLOCATOR_FIGURES] = {
    [RF_ALLOCATOR_ALLOCATED] = "allocated_bytes", [RF_ALLOCATOR_MAPPED] = "mapped_bytes",
    [RF_ALLOCATOR_ACTIVE] = "active_bytes",       [RF_ALLOCATOR_RESIDENT] = "resident_bytes",
    [RF_ALLOCATOR_RETAINED] = "retained_bytes",   [RF_ALLOCATOR_METADATA] = "metadata_bytes",
    [RF_ALLOCATOR_ARENA] = "arena_bytes",         [RF_ALLOCATOR_FREE] = "free_bytes",
    [RF_ALLOCATOR_FAST] = "fast_bytes",           [RF_ALLOCATOR_RELEASABLE] = "releasable_bytes",
    [RF_ALLOCATOR_MMAPPED] = "mmapped_bytes",     [RF_ALLOCATOR_MMAPPED_BLOCKS] = "mmapped_blocks",
    [RF_ALLOCATOR_FREE_CHUNKS] = "free_chunks"};

double rf_allocator_held(const double *figures) {
  return isnan(figures[RF_ALLOCATOR_RESIDENT]) ? figures[RF_ALLOCATOR_MAPPED]
                                               : figures[RF_ALLOCATOR_RESIDENT];
}

double rf_allocator_fragmentation(const double *figures) {
  double held = rf_allocator_held(figures);
  return held > 0 ? fmax(0, 1 - figures[RF_ALLOCATOR_ALLOCATED] / held) : NAN;
}

/* "heap.allocator.NAME" and "heap.allocator.at_peak.NAME"; adds over processes. */
static void take_allocator_fact(struct rf_report *report, const char *key, const char *value) {
  static const char end[] = "heap.allocator.", peak[] = "at_peak.";
  double *target = report->heap.at_end;
  if (strncmp(key, end, sizeof end - 1) != 0) return;
  const char *name = key + sizeof end - 1;
  if (strncmp(name, peak, sizeof peak - 1) == 0) {
    name += sizeof peak - 1;
    target = report->heap.at_peak;
  }
  for (size_t i = 0; i < RF_ALLOCATOR_FIGURES; i++)
    if (strcmp(name, rf_allocator_figure_names[i]) == 0)
      target[i] = rf_add_known(target[i], number_or_unknown(value));
}

/* "module\treason", each pair once. */
static void take_unseen_fact(struct rf_report *report, const char *key, const char *value) {
  struct rf_report_heap *heap = &report->heap;
  const char *tab = strchr(value, '\t');
  if (strcmp(key, "heap.unseen") != 0 || !tab) return;
  char *module = rf_arena_text(report->arena, value);
  module[tab - value] = '\0';
  for (size_t i = 0; i < heap->unseens; i++)
    if (!strcmp(heap->unseen[i].module, module) && !strcmp(heap->unseen[i].reason, tab + 1)) return;
  struct rf_report_unseen *unseen =
      rf_arena_push(report->arena, &heap->unseen, heap->unseens, sizeof *unseen);
  *unseen = (struct rf_report_unseen){module, module + (tab - value) + 1};
  heap->unseens++;
}

/* What was looked at once, at the exit, as far as the recording says; adds over processes. */
static void take_heap_fact(struct rf_report_heap *heap, const char *key, const char *value) {
  const struct {
    const char *key;
    double *target;
  } numbers[] = {{"rss.heap_bytes", &heap->rss_heap_bytes},
                 {"rss.slack_bytes", &heap->rss_slack_bytes},
                 {"rss.thread_stack_bytes", &heap->rss_thread_stack_bytes},
                 {"rss.file_bytes", &heap->rss_file_bytes},
                 {"rss.anonymous_bytes", &heap->rss_anonymous_bytes},
                 {"rss.refunc_bytes", &heap->rss_refunc_bytes},
                 {"leak_check.threads", &heap->check_threads},
                 {"leak_check.unhalted", &heap->check_unhalted},
                 {"leak_check.blocks", &heap->check_blocks},
                 {"leak_check.lost_blocks", &heap->check_lost_blocks},
                 {"leak_check.lost_bytes", &heap->check_lost_bytes},
                 {"leak_check.duration_s", &heap->check_duration_s}};
  if (strncmp(key, "heap.", 5) != 0) return;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    if (strcmp(key + 5, numbers[i].key) == 0)
      *numbers[i].target = rf_add_known(*numbers[i].target, number_or_unknown(value));
}

static void read_facts(struct rf_report *report, const struct rf_reader *reader,
                       struct rf_report_process *process) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_FACT], RF_TABLE_FACT);
  struct rf_fact_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    const char *key = rf_reader_string(reader, entry.key), *value = rf_reader_string(reader, entry.value);
    if (take_process_fact(report, process, key, value)) continue;
    take_environment_fact(report, key, value);
    take_heap_fact(&report->heap, key, value);
    take_allocator_fact(report, key, value);
    take_unseen_fact(report, key, value);
  }
}

/* --- the process itself --- */

static const char *exit_kind(const struct rf_header *header, bool alive) {
  switch (header->exit_kind) {
  case RF_EXIT_EXITED: return "exited";
  case RF_EXIT_SIGNALED: return "signaled";
  case RF_EXIT_EXECED: return "execed";
  default: return alive ? "running" : "lost";
  }
}

static double duration_s(const struct rf_header *header, bool alive) {
  int64_t end = header->end_monotonic_ns;
  if (!end && alive) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    end = now.tv_sec * 1000000000ll + now.tv_nsec;
    end += header->monotonic_offset_ns - rf_process_time_offsets().monotonic_ns; /* as its own clock has it */
  }
  if (!end) end = header->last_write_monotonic_ns;
  return end > header->start_monotonic_ns ? (double)(end - header->start_monotonic_ns) * 1e-9 : end ? 0 : NAN;
}

static const char *iso_time(struct rf_arena *arena, int64_t realtime_ns) {
  time_t seconds = realtime_ns / 1000000000;
  struct tm tm;
  char text[64];
  if (realtime_ns <= 0 || !gmtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm))
    return "";
  return rf_arena_printf(arena, "%s.%03dZ", text, (int)(realtime_ns / 1000000 % 1000));
}

static void read_process(struct rf_report *report, const struct rf_reader *reader,
                         struct rf_report_process *process) {
  const struct rf_header *h = rf_reader_header(reader);
  bool alive = rf_reader_alive(reader);
  *process = (struct rf_report_process){
      .exe = "",
      .cwd = "",
      .pid = h->pid,
      .ppid = h->ppid,
      .start_ticks = h->pid_start_ticks,
      .is_root = h->is_root,
      .alive = alive,
      .path = rf_arena_text(report->arena, rf_reader_path(reader)),
      .boot_id = rf_arena_bytes(report->arena, h->boot_id, strnlen(h->boot_id, sizeof h->boot_id)),
      .start_time = iso_time(report->arena, h->start_realtime_ns),
      .exit_kind = exit_kind(h, alive),
      .exit_code = h->exit_kind == RF_EXIT_EXITED || h->exit_kind == RF_EXIT_SIGNALED ? h->exit_code : NAN,
      .threads_max = h->threads_max ? h->threads_max : NAN,
      .duration_s = duration_s(h, alive),
      .start_s = (double)(h->start_monotonic_ns - h->monotonic_offset_ns) * 1e-9,
      .heap_peak_bytes = NAN,
      .peak_rss_bytes = NAN};
}

/* --- Refunc's own cost --- */

/*
 * A merely counted call costs so much while its stub, countdown and function lie in the nearest caches. Where
 * hundreds of functions take turns they don't, which is not measured: 256 functions in random order cost 5 ns a
 * call, 4,096 up to 60, most of it counting, the rest timed calls that found nothing in the caches either.
 */
#define COUNTING_CYCLES 4
#define IN_CACHES 128
#define UNKNOWN_SHARE 0.1

struct spent {
  uint64_t timed, rules_cycles, measured_cycles;
  double counted, counted_far; /* far: on threads with more functions than caches hold */
};

/* The functions of one thread. */
struct turns {
  double calls, squares, counted;
};

/* How many functions, called equally often, would be as many to take turns. */
static void add_turns(struct spent *sum, const struct turns *turns) {
  double functions = turns->squares > 0 ? turns->calls * turns->calls / turns->squares : 0;
  sum->counted += turns->counted;
  if (functions > IN_CACHES) sum->counted_far += turns->counted;
}

static struct spent spent_at_calls(const struct rf_reader *reader) {
  struct spent sum = {0};
  struct rf_cursor threads =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_THREAD], RF_TABLE_THREAD);
  struct rf_thread_entry thread;
  while (rf_cursor_next(&threads, &thread, sizeof thread)) {
    struct rf_cursor slots = rf_cursor_at(reader, thread.slots, RF_TABLE_SLOT);
    struct rf_slot slot;
    struct turns turns = {0};
    while (rf_cursor_next(&slots, &slot, sizeof slot)) {
      double calls = (double)slot.entered + (double)slot.counted;
      turns.calls += calls;
      turns.squares += calls * calls;
      turns.counted += (double)slot.counted;
      sum.timed += slot.entered;
      sum.rules_cycles += slot.rules_cycles;
      sum.measured_cycles += slot.measured_cycles;
    }
    add_turns(&sum, &turns);
  }
  return sum;
}

static void merge_counting(struct rf_report *report, const struct spent *spent, double per_cycle) {
  static const char reason[] =
      "hundreds of functions take turns, whose stubs push each other out of the caches: what "
      "counting costs then is not measured, and is not in self.overhead_s";
  if (spent->counted_far > UNKNOWN_SHARE * spent->counted)
    rf_report_unavailable(report, "self.counting_s", reason);
  if (rf_report_reason(report, "self.counting_s"))
    report->self.counting_s = NAN;
  else
    report->self.counting_s =
        rf_add_known(report->self.counting_s, spent->counted * COUNTING_CYCLES * per_cycle);
}

static void merge_self(struct rf_report *report, const struct rf_reader *reader) {
  const struct rf_header *h = rf_reader_header(reader);
  struct rf_report_self *self = &report->self;
  double per_cycle = h->cycles_per_second > 0 ? 1 / h->cycles_per_second : NAN;
  double probe = ((double)h->probe_inside_cycles + h->probe_outside_cycles) * per_cycle;
  self->probe_cost_s = rf_max_known(self->probe_cost_s, probe);
  self->clock_cost_s = rf_max_known(self->clock_cost_s, h->clock_cost_cycles * per_cycle);
  struct spent spent = spent_at_calls(reader);
  self->probes_s = rf_add_known(self->probes_s, (double)spent.timed * probe);
  self->rules_s = rf_add_known(self->rules_s, (double)spent.rules_cycles * per_cycle);
  self->measured_s = rf_add_known(self->measured_s, (double)spent.measured_cycles * per_cycle);
  self->sampler_s = rf_add_known(self->sampler_s, (double)h->self_cpu_ns * 1e-9);
  self->start_s = rf_add_known(self->start_s, (double)h->self_start_ns * 1e-9);
  merge_counting(report, &spent, per_cycle);
  double at_calls = rf_add_known(rf_add_known(self->probes_s, self->rules_s), self->measured_s);
  at_calls = rf_add_known(at_calls, self->counting_s);
  self->overhead_s = rf_add_known(rf_add_known(at_calls, self->sampler_s), self->start_s);
  self->memory_bytes = rf_add_known(self->memory_bytes, (double)h->memory_bytes + (double)h->used_bytes);
  self->dropped_calls = rf_add_known(self->dropped_calls, (double)h->dropped_calls);
  self->dropped_functions = rf_add_known(self->dropped_functions, (double)h->dropped_functions);
  self->dropped_samples = rf_add_known(self->dropped_samples, (double)h->dropped_samples);
  self->dropped_sites = rf_add_known(self->dropped_sites, (double)h->dropped_sites);
}

/* --- the whole --- */

/* Root first, then by start; recordings of one run share a clock. */
static int by_rank(const void *left, const void *right) {
  const struct rf_header *a = rf_reader_header(*(struct rf_reader *const *)left);
  const struct rf_header *b = rf_reader_header(*(struct rf_reader *const *)right);
  if (!a->is_root != !b->is_root) return a->is_root ? -1 : 1;
  return (a->start_realtime_ns > b->start_realtime_ns) - (a->start_realtime_ns < b->start_realtime_ns);
}

/* A pattern matched if it did in any process; only the root's report says so when the others never saw its
 * modules. */
static void drop_matched_elsewhere(struct rf_report *report) {
  size_t kept = 0;
  for (size_t i = 0; i < report->unmatches; i++)
    if (report->unmatched[i].seen >= report->recordings) report->unmatched[kept++] = report->unmatched[i];
  report->unmatches = kept;
}

/* exec keeps a process's pid and start: the process whose earlier image this one replaced, or NULL. */
static struct rf_report_process *process_before_exec(const struct rf_report *report,
                                                     const struct rf_report_process *image) {
  for (size_t i = report->processes; i-- > 0;) {
    struct rf_report_process *p = &report->process[i];
    if (p->pid == image->pid && p->start_ticks == image->start_ticks &&
        strcmp(p->boot_id, image->boot_id) == 0)
      return strcmp(p->exit_kind, "execed") == 0 ? p : NULL;
  }
  return NULL;
}

/* It is what it became, since when it began. */
static void replace_image(struct rf_report_process *process, const struct rf_report_process *image) {
  struct rf_report_process before = *process;
  *process = *image;
  process->start_time = before.start_time;
  process->start_s = before.start_s;
  process->duration_s = image->start_s + image->duration_s - before.start_s;
  process->is_root |= before.is_root;
  process->threads_max = rf_max_known(before.threads_max, image->threads_max);
  process->heap_peak_bytes = before.heap_peak_bytes;
  process->peak_rss_bytes = before.peak_rss_bytes;
}

static struct rf_report_process *add_process(struct rf_report *report, const struct rf_reader *reader) {
  struct rf_report_process image;
  read_process(report, reader, &image);
  read_facts(report, reader, &image);
  struct rf_report_process *process = process_before_exec(report, &image);
  if (process) {
    replace_image(process, &image);
    return process;
  }
  process = rf_arena_push(report->arena, &report->process, report->processes++, sizeof *process);
  *process = image;
  return process;
}

static void add_recording(struct rf_report *report, const struct rf_reader *reader,
                          struct rf_function_merge *functions) {
  bool first = report->recordings++ == 0;
  struct rf_report_process *process = add_process(report, reader);
  if (first) read_options(report, reader);
  read_skipped(report, reader);
  read_unmatched(report, reader);
  read_unavailable(report, reader);
  rf_merge_functions(functions, reader);
  rf_merge_heap(report, reader, process);
  rf_merge_system(report, reader, process);
  merge_self(report, reader);
  report->truncated |= rf_reader_truncated(reader);
}

struct rf_report *rf_report_build(struct rf_reader *const *readers, size_t count) {
  struct rf_report *report = rf_report_new();
  struct rf_reader **ordered = rf_arena_alloc(report->arena, count * sizeof *ordered);
  memcpy(ordered, readers, count * sizeof *ordered);
  qsort(ordered, count, sizeof *ordered, by_rank);
  struct rf_function_merge *functions = rf_merge_functions_begin(report);
  struct rf_site_merge *sites = rf_sites_begin(report);
  for (size_t i = 0; i < count; i++)
    add_recording(report, ordered[i], functions), rf_sites_add(sites, ordered[i]);
  rf_merge_functions_end(functions);
  rf_sites_end(sites);
  rf_merge_system_end(report);
  drop_matched_elsewhere(report);
  if (!*report->heap.mode) report->heap.mode = rf_report_option(report, "heap.mode");
  if (!*report->heap.allocator) report->heap.allocator = rf_report_option(report, "heap.allocator");
  if (!isnan(report->heap.alloc_calls)) rf_report_hidden_allocators(report);
  return report;
}
