/*
 * See functions.h. Libraries opened later are met through the loader's own notification (_dl_debug_state,
 * made for debuggers): it runs on the opening thread, before the library's constructors and before its
 * relocation. The sweep then runs on a stack of its own, since that thread's may be small.
 */
#include "session/functions.h"

#include <math.h>
#include <string.h>

#include "arch/entry.h"
#include "base/change.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/signals.h"
#include "base/thread.h"
#include "elf/loader.h"
#include "elf/module.h"
#include "heap/modules.h"
#include "patch/constructor.h"
#include "patch/frames.h"
#include "patch/patch.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "sample/sampler.h"
#include "session/describe.h"
#include "trace/call.h"
#include "trace/edges.h"
#include "trace/full.h"
#include "trace/pace.h"
#include "trace/probe.h"
#include "trace/select.h"
#include "trace/traced.h"
#include "trace/wishes.h"
#include "unwind/unwind.h"
#include "validate/validate.h"

#define STACK_BYTES ((size_t)1 << 20)

static bool selecting;
static struct rf_probe_cost cost;
static struct rf_lock sweeping;
static bool exposed;
static double budget;

static bool tell_others(void *user, const struct rf_module *module) {
  (void)user;
  rf_heap_modules_seen(module);
  rf_sampler_module_loaded(module->name);
  return true;
}

static void sweep(void *relocated) {
  rf_heap_modules_begin();
  rf_modules_visit(tell_others, NULL);
  rf_heap_modules_end();
  rf_unwind_modules_changed();
  rf_select_sweep(*(bool *)relocated);
}

/* Before the first sweep's stubs can be interrupted by anybody who unwinds. */
static void expose_frames(bool now) {
  if (rf_patch_open()) return;
  if (!rf_frames_expose(rf_find_object_entry, now))
    rf_log(
        RF_LOG_INFO,
        "this libc can't be told of stubs: unwinding from a signal handler ends in one that it interrupted");
  exposed = true;
  rf_patch_close();
}

static void sweep_on_own_stack(bool relocated) {
  char *stack = rf_pages(STACK_BYTES);
  if (!stack) return;
  uint64_t mask =
      rf_signals_block(); /* a handler must not find itself on a stack that its program does not know */
  rf_lock_take(&sweeping);
  rf_call_on(stack + STACK_BYTES, sweep, &relocated);
  rf_lock_give(&sweeping);
  rf_signals_restore(mask);
  rf_pages_free(stack, STACK_BYTES);
}

void rf_notified(void) {
  if (rf_internal_depth() || !rf_loader_consistent() || !rf_recording_header()) return;
  rf_internal_enter();
  sweep_on_own_stack(false);
  rf_internal_leave();
}

uintptr_t rf_constructor_due(uint32_t head) {
  bool news;
  uintptr_t constructor = rf_constructor_take(head, &news);
  if (!news || rf_internal_depth() || !rf_recording_header()) return constructor;
  rf_internal_enter();
  sweep_on_own_stack(true);
  rf_internal_leave();
  return constructor;
}

static void record_cost(void) {
  struct rf_header *header = rf_recording_header();
  header->clock_cost_cycles = cost.clock;
  header->probe_inside_cycles = cost.inside;
  header->probe_outside_cycles = cost.outside;
  rf_full_record_costs();
}

/* Callers' times are corrected in the units of the clock that functions have by default. */
static void set_probe_cost(enum rf_clock_mode mode) {
  struct rf_clock_cost clock = rf_full_clock_cost(mode);
  double ns = 1e9 / rf_recording_header()->cycles_per_second, inside = (double)clock.inside_ps / 1000;
  if (mode == RF_CLOCK_PERF_COUNTER)
    rf_calls_set_probe_cost(cost.inside, cost.outside);
  else
    rf_calls_set_probe_cost((uint64_t)(cost.inside * ns + inside),
                            (uint64_t)fmax((cost.outside + clock.cycles) * ns - inside, 0));
}

/* The library's own code, by the linker's names for its bounds. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

static void start_budget(void) {
  uint32_t share = budget * RF_PACE_ONE > 1 ? (uint32_t)(budget * RF_PACE_ONE) : budget > 0;
  uint32_t own_share = rf_wishes_highest_share();
  if ((share || own_share) && rf_countdowns_start(RF_MOST_FUNCTIONS))
    rf_pace_start(share, own_share, cost.inside + cost.outside);
  if (!rf_pace_active()) return;
  rf_unwind_start();
  rf_unwind_hide((uintptr_t)__ehdr_start, (uintptr_t)etext);
}

static const struct rf_select_rules *start_rules(const struct rf_options *options,
                                                 void (*end_process)(void)) {
  struct rf_validate_plan plan = {.options = options,
                                  .cycles_per_second = rf_recording_header()->cycles_per_second,
                                  .describe = rf_describe,
                                  .end_process = end_process};
  const struct rf_select_rules *rules = rf_validate_start(&plan);
  if (rules && rf_unwind_start() == 0) rf_unwind_hide((uintptr_t)__ehdr_start, (uintptr_t)etext);
  return rules;
}

void rf_functions_start(const struct rf_options *options, bool dry, void (*end_process)(void)) {
  struct rf_select_plan plan = {.options = options, .rules = start_rules(options, end_process), .dry = dry};
  selecting = rf_select_start(&plan);
  rf_edges_start(rf_option_on(options, RF_OPT_TRACE_EDGES));
  budget = rf_option_ratio(options, RF_OPT_TIMING_BUDGET);
  cost = rf_probe_measure(!(budget > 0)); /* now: it borrows an id that may be taken later */
  record_cost();
  set_probe_cost((enum rf_clock_mode)rf_option_choice(options, RF_OPT_TIMING_MODE));
  if (plan.rules) rf_validate_measure(cost.inside + cost.outside);
  if (selecting) start_budget();
  if (selecting && !dry) expose_frames(true);
  sweep_on_own_stack(true);
  uintptr_t notifier = rf_loader_notifier();
  if (!dry && (!notifier || !rf_patch_notifier(notifier, rf_notify)))
    rf_record_unavailable("libraries", "the dynamic loader's notification can't be hooked: functions of "
                                       "libraries opened later are not timed");
}

void rf_functions_record_again(void) {
  record_cost();
  rf_traced_record_again();
  rf_validate_record_again();
}

/* ---- changes ---- */

/* What functions need that are traced for the first time in this process. */
static void begin_selecting(void) {
  if (!selecting) start_budget();
  if (!exposed) expose_frames(false);
  selecting = true;
}

static void copy_text(char *to, size_t size, const char *text) {
  strncpy(to, text, size - 1);
  to[size - 1] = '\0';
}

static void change_on_own_stack(void *given) {
  struct rf_change *change = given;
  struct rf_select_change done = {0};
  begin_selecting();
  const char *problem = rf_select_change(change->kind == RF_CHANGE_ADD, change->pattern, &done);
  rf_unwind_modules_changed();
  change->result = problem ? RF_CHANGE_REFUSED : RF_CHANGE_DONE;
  change->changed = done.changed;
  change->unchanged = done.unchanged;
  change->skipped = done.skipped;
  change->edits = (uintptr_t)done.edits;
  change->edit_count = done.edit_count;
  copy_text(change->text, sizeof change->text, problem ? problem : done.skipped ? done.reason : done.nearest);
}

/* The thread may have been stopped in the middle of a sweep of another's making: it does not wait for that.
 */
void rf_functions_change(struct rf_change *change) {
  char *own = rf_pages(STACK_BYTES);
  change->result = RF_CHANGE_BUSY;
  if (own && rf_lock_try(&sweeping)) {
    rf_call_on(own + STACK_BYTES, change_on_own_stack, change);
    rf_lock_give(&sweeping);
  }
  if (own) rf_pages_free(own, STACK_BYTES);
}

void rf_functions_own_code(uint64_t *low, uint64_t *high) {
  *low = (uintptr_t)__ehdr_start;
  *high = (uintptr_t)etext;
}
