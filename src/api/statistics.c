/*
 * What refunc_get_timing_stats answers: the slots of a name on all threads, found in the recording (which
 * only grows, so that they can be read while their threads go on), merged into a tally, less what was there
 * when it was last cleared.
 *
 *   name ─▶ ids of functions and blocks, spans ─▶ slots ─▶ tally ─(less the baseline)─▶ statistics
 *
 * Clearing takes nothing away from anybody: it keeps a tally as of then. So it races with no count, and the
 * report still has all.
 */
#include "api/statistics.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "api/guard.h"
#include "arch/arch.h"
#include "base/clock.h"
#include "base/memory.h"
#include "recording/threads.h"
#include "recording/walk.h"

#define MOST_IDS 256     /* overloads and instances of one name */
#define SPAN 0x80000000u /* in an id: the number of a span instead of a function */
#define BATCH 256u       /* functions that are tallied in one go */

struct baseline {
  struct baseline *next;
  uint32_t pid, id;
  struct rf_packed_tally *tally;
};

static struct baseline *baselines;
static struct rf_guard guard;

struct rf_tally_scale rf_statistics_scale(uint32_t mode) {
  const struct rf_header *header = rf_recording_header();
  double rate = rf_clock_refine(header->start_cycles, header->start_monotonic_ns, rf_cycles(),
                                rf_monotonic_ns(), header->cycles_per_second);
  if (mode == RF_CLOCK_PERF_COUNTER) return (struct rf_tally_scale){1 / rate, header->probe_inside_cycles};
  double clock_ns = mode <= RF_CLOCK_THREAD ? (double)header->clock_inside_ps[mode] * 1e-3 : 0;
  return (struct rf_tally_scale){1e-9, header->probe_inside_cycles / rate * 1e9 + clock_ns};
}

/* ---- names ---- */

static const char *text_at(rf_ref ref) {
  const struct rf_string *string = rf_recording_at(ref);
  return string ? string->bytes : "";
}

/* Whether wanted names it: in full, or without parameters. */
static bool is_called(const char *name, const char *wanted) {
  size_t length = strlen(wanted);
  return strncmp(name, wanted, length) == 0 && (name[length] == '\0' || name[length] == '(');
}

static bool is_alias(const char *aliases, const char *wanted) {
  size_t length = strlen(wanted);
  for (const char *at = aliases; *at;) {
    const char *end = strchr(at, '\n');
    size_t here = end ? (size_t)(end - at) : strlen(at);
    if (here == length && memcmp(at, wanted, length) == 0) return true;
    at += here + (end != NULL);
  }
  return false;
}

static bool entry_matches(const struct rf_function_entry *entry, const char *wanted) {
  return is_called(text_at(entry->demangled ? entry->demangled : entry->name), wanted) ||
         strcmp(text_at(entry->name), wanted) == 0 || is_alias(text_at(entry->aliases), wanted);
}

struct found {
  uint32_t id[MOST_IDS];
  uint32_t count, mode;
};

static void find_spans(const char *wanted, struct found *found) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_SPAN));
  const struct rf_span_entry *entry;
  for (uint32_t number = 0; (entry = rf_walk_next(&walk)) && found->count < MOST_IDS; number++)
    if (strcmp(text_at(entry->name), wanted) == 0) found->id[found->count++] = SPAN | number;
}

/* Functions of several clocks are not added up: those of the first one's are. Spans only where no function
 * has the name. */
static void find_ids(const char *wanted, struct found *found) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_FUNCTION));
  const struct rf_function_entry *entry;
  for (uint32_t id = 0; (entry = rf_walk_next(&walk)) && found->count < MOST_IDS; id++) {
    if (!entry_matches(entry, wanted)) continue;
    if (!found->count) found->mode = entry->mode;
    if (entry->mode == found->mode) found->id[found->count++] = id;
  }
  if (!found->count) find_spans(wanted, found);
}

/* ---- tallies ---- */

/* Of the announced calls those that are still to come: the countdown is one more. */
static uint64_t waiting(const struct rf_thread_entry *thread, uint32_t id) {
  const int64_t *countdowns = rf_recording_at(thread->countdowns);
  int64_t left =
      countdowns && id < thread->countdown_count ? __atomic_load_n(&countdowns[id], __ATOMIC_RELAXED) : 0;
  return left > 1 ? (uint64_t)left - 1 : 0;
}

/* Those of functions low to high, one each, over one thread's slots. */
static void add_thread(const struct rf_thread_entry *thread, uint32_t low, uint32_t high,
                       struct rf_tally *tallies, struct rf_tally *scratch) {
  struct rf_walk walk = rf_walk_begin(thread->slots);
  const struct rf_slot *slot;
  while ((slot = rf_walk_next(&walk)))
    if (slot->function >= low && slot->function < high)
      rf_tally_add_slot(&tallies[slot->function - low], slot, waiting(thread, slot->function), scratch);
}

static void take(uint32_t low, uint32_t high, struct rf_tally *tallies, struct rf_tally *scratch) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_THREAD));
  const struct rf_thread_entry *thread;
  for (uint32_t i = 0; i < high - low; i++) rf_tally_clear(&tallies[i]);
  while ((thread = rf_walk_next(&walk))) add_thread(thread, low, high, tallies, scratch);
}

/* One slot for all threads; what is in flight has not ended. */
static void take_span(uint32_t number, struct rf_tally *tally, struct rf_tally *scratch) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_SPAN));
  const struct rf_span_entry *entry = rf_walk_next(&walk);
  rf_tally_clear(tally);
  for (; entry && number; number--) entry = rf_walk_next(&walk);
  if (entry) rf_tally_add_slot(tally, &entry->slot, 0, scratch);
  tally->sums.ended = tally->sums.timed;
  tally->sums.sum_outer = tally->sums.sum;
}

static void take_one(uint32_t id, struct rf_tally *tally, struct rf_tally *scratch) {
  if (id & SPAN)
    take_span(id & ~SPAN, tally, scratch);
  else
    take(id, id + 1, tally, scratch);
}

/* ---- baselines ---- */

/* A forked child's recording begins with nothing. */
static void forget_parents(void) {
  for (struct baseline **link = &baselines; *link;) {
    struct baseline *gone = *link;
    if (gone->pid == rf_recording_header()->pid) {
      link = &gone->next;
      continue;
    }
    *link = gone->next;
    rf_free(gone->tally);
    rf_free(gone);
  }
}

static struct baseline *baseline_of(uint32_t id) {
  struct baseline *at = baselines;
  while (at && at->id != id) at = at->next;
  return at;
}

static int keep(uint32_t id, const struct rf_tally *tally) {
  struct baseline *at = baseline_of(id);
  struct rf_packed_tally *packed = rf_tally_pack(tally);
  if (!packed) return -ENOMEM;
  if (!at) {
    at = rf_calloc(1, sizeof *at);
    if (!at) return -ENOMEM;
    *at = (struct baseline){.next = baselines, .pid = rf_recording_header()->pid, .id = id};
    baselines = at;
  }
  rf_free(at->tally);
  at->tally = packed;
  return 0;
}

static int clear_range(uint32_t low, uint32_t high) {
  struct rf_tally *tallies = rf_malloc((high - low + 1) * sizeof *tallies);
  int failed = tallies ? 0 : -ENOMEM;
  if (tallies) take(low, high, tallies, &tallies[high - low]);
  for (uint32_t i = 0; tallies && i < high - low; i++)
    if (tallies[i].sums.ended) failed |= keep(low + i, &tallies[i]);
  rf_free(tallies);
  return failed ? -ENOMEM : 0;
}

static int clear_one(uint32_t id) {
  struct rf_tally *tally = rf_malloc(2 * sizeof *tally);
  if (!tally) return -ENOMEM;
  take_one(id, &tally[0], &tally[1]);
  int failed = keep(id, &tally[0]);
  rf_free(tally);
  return failed;
}

static uint32_t count_of(enum rf_table table) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(table));
  uint32_t count = 0;
  while (rf_walk_next(&walk)) count++;
  return count;
}

static int clear_all(void) {
  int failed = 0;
  for (uint32_t low = 0, count = count_of(RF_TABLE_FUNCTION); low < count; low += BATCH)
    failed |= clear_range(low, low + BATCH < count ? low + BATCH : count);
  for (uint32_t number = 0, count = count_of(RF_TABLE_SPAN); number < count; number++)
    failed |= clear_one(SPAN | number);
  return failed;
}

static int clear_named(const char *name) {
  struct found found = {0};
  int failed = 0;
  find_ids(name, &found);
  for (uint32_t i = 0; i < found.count; i++) failed |= clear_one(found.id[i]);
  return found.count ? failed : -ENOENT;
}

/* ---- refunc.h ---- */

static void add_up(const struct found *found, struct rf_tally *tally) {
  forget_parents();
  for (uint32_t i = 0; i < found->count; i++) {
    struct baseline *before = baseline_of(found->id[i]);
    take_one(found->id[i], &tally[1], &tally[2]);
    if (before) rf_tally_subtract(&tally[1], before->tally);
    rf_tally_merge(&tally[0], &tally[1]);
  }
}

int rf_api_get_timing_stats(const char *name, struct refunc_timing_stats *stats) {
  struct found found = {0};
  if (!name || !rf_thread_get()) return -EINVAL;
  find_ids(name, &found);
  if (!found.count) return -ENOENT;
  struct rf_tally *tally = rf_malloc(3 * sizeof *tally);
  if (!tally) return -ENOMEM;
  rf_tally_clear(&tally[0]);
  uint64_t mask = rf_guard_take(&guard);
  add_up(&found, tally);
  rf_guard_give(&guard, mask);
  struct rf_tally_scale scale = rf_statistics_scale(found.mode);
  if (found.id[0] & SPAN) scale.inside = 0;
  rf_tally_stats(&tally[0], scale, stats);
  rf_free(tally);
  return 0;
}

/* Tallies of functions low to high, less what was cleared; the last one is for scratch. */
static void take_uncleared(uint32_t low, uint32_t high, struct rf_tally *tallies) {
  uint64_t mask = rf_guard_take(&guard);
  forget_parents();
  take(low, high, tallies, &tallies[high - low]);
  for (uint32_t i = 0; i < high - low; i++) {
    struct baseline *before = baseline_of(low + i);
    if (before) rf_tally_subtract(&tallies[i], before->tally);
  }
  rf_guard_give(&guard, mask);
}

static int show(const char *name, const struct rf_tally *tally, struct rf_tally_scale scale,
                refunc_timing_visitor *visitor, void *user) {
  struct refunc_timing_stats stats = {.size = sizeof stats};
  if (!tally->sums.ended) return 0;
  rf_tally_stats(tally, scale, &stats);
  visitor(name, &stats, user);
  return 1;
}

static int visit_functions(struct rf_tally *tallies, refunc_timing_visitor *visitor, void *user) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_FUNCTION));
  const struct rf_function_entry *entry;
  int shown = 0;
  for (uint32_t id = 0, count = count_of(RF_TABLE_FUNCTION); id < count && (entry = rf_walk_next(&walk));
       id++) {
    uint32_t low = id / BATCH * BATCH;
    if (id == low) take_uncleared(low, low + BATCH < count ? low + BATCH : count, tallies);
    shown += show(text_at(entry->demangled ? entry->demangled : entry->name), &tallies[id - low],
                  rf_statistics_scale(entry->mode), visitor, user);
  }
  return shown;
}

static int visit_spans(struct rf_tally *tallies, refunc_timing_visitor *visitor, void *user) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_SPAN));
  const struct rf_span_entry *entry;
  int shown = 0;
  for (uint32_t number = 0; (entry = rf_walk_next(&walk)); number++) {
    struct found one = {.id = {SPAN | number}, .count = 1};
    struct rf_tally_scale scale = rf_statistics_scale(RF_CLOCK_PERF_COUNTER);
    scale.inside = 0;
    rf_tally_clear(&tallies[0]);
    uint64_t mask = rf_guard_take(&guard);
    add_up(&one, tallies);
    rf_guard_give(&guard, mask);
    shown += show(text_at(entry->name), &tallies[0], scale, visitor, user);
  }
  return shown;
}

int rf_api_visit_timing_stats(refunc_timing_visitor *visitor, void *user) {
  if (!visitor || !rf_thread_get()) return -EINVAL;
  struct rf_tally *tallies = rf_malloc((BATCH + 1) * sizeof *tallies);
  if (!tallies) return -ENOMEM;
  int shown = visit_functions(tallies, visitor, user) + visit_spans(tallies, visitor, user);
  rf_free(tallies);
  return shown;
}

int rf_api_clear_timing_stats(const char *name) {
  if (!rf_thread_get()) return -ENOSYS;
  uint64_t mask = rf_guard_take(&guard);
  forget_parents();
  int status = name ? clear_named(name) : clear_all();
  rf_guard_give(&guard, mask);
  return status;
}

int rf_api_has_regressed(const char *name, double baseline_s, double tolerance) {
  struct refunc_timing_stats stats = {.size = sizeof stats};
  int failed = rf_api_get_timing_stats(name, &stats);
  if (failed) return failed;
  return stats.timed && stats.mean_s > baseline_s * (1 + tolerance);
}
