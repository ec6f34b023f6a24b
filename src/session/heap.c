/* See heap.h. */
#include "session/heap.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>

#include "base/log.h"
#include "base/options.h"
#include "base/quiet.h"
#include "heap/allocator.h"
#include "heap/counters.h"
#include "heap/explain.h"
#include "heap/foreign.h"
#include "heap/leaks.h"
#include "heap/track.h"
#include "recording/writer.h"
#include "sample/sampler.h"
#include "unwind/unwind.h"
extern const char __ehdr_start[] __attribute__((visibility("hidden"))),
    etext[] __attribute__((visibility("hidden")));

static void start_tracking(const struct rf_options *o, enum rf_heap_mode mode) {
  struct rf_track_plan plan = {.mode = mode == RF_HEAP_EXACT     ? RF_TRACK_EXACT
                                       : mode == RF_HEAP_SAMPLED ? RF_TRACK_SAMPLED
                                                                 : RF_TRACK_NONE,
                               .sample_bytes = rf_option_bytes(o, RF_OPT_HEAP_SAMPLE_BYTES),
                               .sample_seed = rf_option_number(o, RF_OPT_HEAP_SAMPLE_SEED),
                               .stack_depth = (uint32_t)rf_option_number(o, RF_OPT_HEAP_STACK_DEPTH)};
  rf_unwind_hide((uintptr_t)__ehdr_start, (uintptr_t)etext);
  if (rf_track_start(&plan)) return;
  rf_record_unavailable("heap.sites", "no memory for the tables of sites and live blocks");
  rf_log(RF_LOG_WARN, "heap.mode=counters instead of what was asked for: no memory for its tables");
}

static void record_allocator(const char *no_jemalloc) {
  char name[128];
  rf_allocator_name(name, sizeof name);
  rf_record_fact("heap.allocator", name);
  if (no_jemalloc[0]) rf_record_unavailable("heap.allocator.jemalloc", no_jemalloc);
}

/* Said at the start, and again in forked children's recordings. */
static void record_unseen(const char *module, const char *reason) {
  char text[512];
  snprintf(text, sizeof text, "%s\t%s", module, reason);
  rf_record_fact("heap.unseen", text);
}

bool rf_session_heap_counts(const struct rf_options *options) {
  return rf_option_choice(options, RF_OPT_HEAP_MODE) != RF_HEAP_OFF && !rf_foreign_blind();
}

void rf_session_record_heap(const struct rf_options *options, const char *no_jemalloc) {
  record_allocator(no_jemalloc);
  rf_foreign_tell_unseen(record_unseen);
  if (rf_option_choice(options, RF_OPT_HEAP_MODE) == RF_HEAP_OFF)
    rf_record_unavailable("heap", "heap.mode is off");
  else if (rf_foreign_blind())
    rf_record_unavailable("heap", "the program's own allocator can't be hooked: see heap.unseen");
}

void rf_session_find_allocators(const struct rf_options *options, bool dry) {
  rf_allocator_learn();
  bool counting = rf_option_choice(options, RF_OPT_HEAP_MODE) != RF_HEAP_OFF;
  if (!dry) rf_foreign_start(counting);
}

void rf_session_start_heap(const struct rf_options *options, const char *no_jemalloc) {
  rf_session_record_heap(options, no_jemalloc);
  if (rf_session_heap_counts(options))
    start_tracking(options, (enum rf_heap_mode)rf_option_choice(options, RF_OPT_HEAP_MODE));
  rf_heap_start(rf_session_heap_counts(options));
  if (rf_option_on(options, RF_OPT_HEAP_LEAK_CHECK) && rf_track_mode == RF_TRACK_NONE)
    rf_log(RF_LOG_WARN, "heap.leak_check finds nothing here: it needs heap.mode=exact or sampled");
}

/* ---- at the end ---- */

static void tell_number(const char *key, double value) {
  char text[32];
  snprintf(text, sizeof text, "%.9g", value);
  rf_record_fact(key, text);
}

static void tell_leaks(const struct rf_leaks *leaks) {
  char why[160];
  tell_number("heap.leak_check.threads", leaks->threads);
  tell_number("heap.leak_check.unhalted", !leaks->halted);
  tell_number("heap.leak_check.blocks", (double)leaks->blocks);
  tell_number("heap.leak_check.lost_blocks", (double)leaks->lost_blocks);
  tell_number("heap.leak_check.lost_bytes", (double)leaks->lost_bytes);
  tell_number("heap.leak_check.duration_s", (double)leaks->duration_ns * 1e-9);
  if (leaks->halted) return;
  snprintf(why, sizeof why, "other threads ran on, so their registers were not seen: %s", leaks->reason);
  rf_record_unavailable("heap.leak_check.halted", why);
}

static const char *leak_problem(int failed) {
  return failed == -ETIME     ? "the check took longer than 10 s"
         : failed == -ENOTSUP ? "heap.leak_check knows the blocks of one allocator only"
         : failed == -ENODATA ? "with heap.allocator=jemalloc every block must be known: not in a forked "
                                "child, not in sampled mode"
         : failed == -EIO     ? "the process's mappings can't be read"
                              : "no memory for the check";
}

static void look_for_leaks(void) {
  struct rf_leaks leaks;
  const char *problem = NULL;
  if (rf_quiet())
    problem = "the app installed a system call filter";
  else if (rf_track_mode == RF_TRACK_NONE)
    problem = "heap.leak_check needs heap.mode=exact or sampled";
  else {
    int failed = rf_leaks_check(rf_sampler_tid(), &leaks);
    if (failed) problem = leak_problem(failed);
  }
  if (!problem) {
    tell_leaks(&leaks);
    return;
  }
  rf_record_unavailable("heap.leak_check", problem);
  rf_record_unavailable("heap.leaks[].reachable", problem);
}

void rf_session_look_at_heap(const struct rf_options *options) {
  if (rf_session_heap_counts(options) && !rf_quiet()) rf_heap_explain(rf_heap_live_bytes());
  if (rf_option_on(options, RF_OPT_HEAP_LEAK_CHECK)) look_for_leaks();
}
