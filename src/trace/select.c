/* See select.h. */
#include "trace/select.h"

#include <string.h>

#include "arch/entry.h"
#include "base/log.h"
#include "base/memory.h"
#include "elf/dynamic.h"
#include "patch/constructor.h"
#include "patch/patch.h"
#include "patch/slots.h"
#include "trace/records.h"
#include "trace/refuse.h"
#include "trace/seen.h"
#include "trace/sweep.h"
#include "trace/traced.h"
#include "trace/unmatched.h"
#include "trace/wishes.h"

static struct {
  bool dry;
  const char *process_refusal;     /* why nothing can be timed; NULL: it can */
  struct rf_select_change *change; /* what is being done for somebody who asked; NULL: nothing */
} state;

bool rf_select_start(const struct rf_select_plan *plan) {
  state.dry = plan->dry;
  if (!rf_sites) rf_sites = rf_pages(RF_MOST_FUNCTIONS * sizeof *rf_sites);
  if (!rf_wishes_read(plan) || !rf_sites) return false;
  rf_full_start();
  return true;
}

static bool look_for_collector(void *user, const struct rf_module *module) {
  (void)user;
  if (!state.process_refusal) state.process_refusal = rf_refuse_process(module->name);
  if (rf_collector_scans_data(module->name)) rf_records_data_only();
  return !state.process_refusal;
}

/* ---- modules that come and go ---- */

static void forget_functions(const struct rf_seen *module) {
  for (uint32_t id = 0; id < rf_traced_count(); id++) {
    const struct rf_traced *traced = rf_traced_at(id);
    if (!traced->address || traced->load_address != module->load_address ||
        strcmp(traced->path, module->path) != 0)
      continue;
    rf_traced_unload(id);
    rf_patch_forget(id);
  }
  rf_patch_forget_code(module->text_start, module->text_end);
  rf_slots_forget(module->load_address);
  rf_indirect_end(module->load_address, false, state.change);
}

/* Before what is new is patched: code at an address that was another module's is not taken for that. */
static void meet_modules(void) {
  rf_seen_meet();
  uint64_t mask = rf_traced_lock();
  rf_seen_forget_closed(forget_functions);
  rf_traced_unlock(mask);
}

static void sweep_symbols(struct rf_sweep *s, struct rf_seen *seen) {
  s->refusal = state.process_refusal;
  s->change = state.change;
  rf_sweep_collect(s);
  if (s->candidate_count) {
    rf_indirect_resolve(s);
    if (s->slotted)
      rf_sweep_keep_slotted(s);
    else
      seen->waiting = s->waiting;
    if (s->candidate_count) rf_sweep_collect_names(s);
    if (s->candidate_count) (s->slotted ? rf_sweep_patch_slotted : rf_sweep_patch)(s);
  }
  rf_sweep_free(s);
}

/* The next sweep comes when the library is relocated, or, if that can't be had, whenever the loader says
 * something again. */
static void await_constructors(const struct rf_module *module) {
  struct rf_dynamic dynamic;
  if (!state.dry && rf_dynamic_read(module, &dynamic)) rf_constructor_precede(&dynamic, rf_constructor_entry);
}

/* A module is looked at once, and its IFUNCs again by the next sweep: the loader has relocated it by then. */
static bool sweep_module(void *user, const struct rf_module *module) {
  struct rf_seen *seen = rf_seen_find(module);
  if (!seen || (seen->swept && !seen->waiting)) return true;
  struct rf_sweep s = {.module = module,
                       .relocated = *(bool *)user || !rf_seen_is_new(seen),
                       .waiting = seen->waiting,
                       .quiet = !seen->swept};
  if (seen->waiting) rf_indirect_end(module->load_address, true, state.change);
  seen->waiting = false;
  seen->swept = true;
  if (rf_wishes_want_module(module->name)) sweep_symbols(&s, seen);
  if (seen->waiting) await_constructors(module);
  return true;
}

/* ---- functions that slots lead to ---- */

struct looking {
  bool relocated, changing; /* all modules are; while the process runs, for somebody who asked */
};

static bool meet_for_slots(void *user, const struct rf_module *module) {
  const struct looking *l = user;
  const struct rf_seen *seen = rf_seen_find(module);
  if (!seen) return true;
  bool ready = l->changing ? rf_seen_is_settled(seen) : l->relocated || !rf_seen_is_new(seen);
  bool quiet = l->changing || (l->relocated && rf_seen_is_quiet(seen));
  rf_slots_meet(module, (ready ? RF_SLOTS_READY : 0) | (quiet ? RF_SLOTS_QUIET : 0) |
                            (rf_seen_is_initial(seen) ? RF_SLOTS_INITIAL : 0));
  return true;
}

static bool sweep_slotted(void *user, const struct rf_module *module) {
  (void)user;
  struct rf_seen *seen = rf_seen_find(module);
  if (!seen || !rf_slots_owner_found(module->load_address)) return true;
  struct rf_sweep s = {.module = module, .relocated = true, .slotted = true};
  sweep_symbols(&s, seen);
  return true;
}

static void look_for_slots(bool relocated, bool changing) {
  struct looking looking = {relocated, changing};
  rf_slots_begin();
  rf_modules_visit(meet_for_slots, &looking);
  rf_slots_look(rf_constructor_entry);
  rf_modules_visit(sweep_slotted, NULL);
  rf_slots_settle();
}

static void apply_slots(void) {
  size_t failures = rf_slots_apply();
  if (failures)
    rf_log_once(RF_LOG_WARN, "some calls stay unseen: the kernel refuses to change %zu addresses", failures);
}

static void write_failed(void *user, uint32_t id, const char *reason) {
  (void)user;
  rf_log_once(RF_LOG_WARN, "function %u and perhaps others stay untimed: %s", id, reason);
}

void rf_select_sweep(bool relocated) {
  meet_modules();
  if (!rf_wishes_any()) return;
  const char *problem = rf_patch_open();
  if (problem) {
    rf_record_unavailable("functions", problem);
    rf_log_once(RF_LOG_WARN, "no function is timed: %s", problem);
    return;
  }
  rf_modules_visit(look_for_collector, NULL);
  rf_modules_visit(sweep_module, &relocated);
  look_for_slots(relocated, false);
  rf_traced_publish();
  if (!state.dry) {
    rf_patch_commit(write_failed, NULL);
    apply_slots();
  }
  rf_patch_close();
  rf_wishes_update_unmatched();
}

/* ---- changes while the process runs ---- */

static bool change_module(void *user, const struct rf_module *module) {
  struct rf_command *command = user;
  struct rf_seen *seen = rf_seen_find(module);
  if (!seen || !rf_pattern_wants_module(command->set, module->name)) return true;
  /* The newest may be in the loader's hands still. */
  struct rf_sweep s = {.module = module,
                       .relocated = rf_seen_is_settled(seen),
                       .quiet = true, /* the tool stops all threads */
                       .only = command->set};
  bool waiting = seen->waiting;
  sweep_symbols(&s, seen);
  seen->waiting |= waiting;
  return true;
}

static void add_functions(struct rf_command *command, struct rf_select_change *change) {
  rf_modules_visit(look_for_collector, NULL);
  rf_modules_visit(change_module, command);
  look_for_slots(false, true);
  if (!command->hits)
    rf_wishes_tell_unmatched(command, change->nearest, sizeof change->nearest);
  else
    rf_unmatched_withdraw(&command->unmatched);
}

static void remove_functions(struct rf_command *command, struct rf_select_change *change) {
  for (uint32_t id = 0; id < rf_traced_count(); id++) {
    const struct rf_traced *traced = rf_traced_at(id);
    if (!traced->address || !rf_wishes_name(command->set, traced)) continue;
    command->hits++;
    if (traced->gone) {
      change->unchanged++;
      continue;
    }
    rf_traced_set_gone(id, RF_FUNCTION_REMOVED);
    if (traced->by_slots)
      rf_slots_turn(traced->address, false);
    else
      rf_patch_restore(id);
    change->changed++;
  }
}

const char *rf_select_change(bool add, const char *pattern, struct rf_select_change *change) {
  static char error[512];
  const char *problem = state.process_refusal ? state.process_refusal : rf_patch_open();
  if (problem) return problem;
  struct rf_command *command = rf_wishes_command(add, pattern, error, sizeof error);
  if (command) {
    rf_full_start();
    meet_modules();
    state.change = change;
    (add ? add_functions : remove_functions)(command, change);
    state.change = NULL;
    rf_traced_publish();
    change->edits = rf_patch_export(&change->edit_count);
    apply_slots();
    if (state.process_refusal) problem = state.process_refusal;
  }
  rf_patch_close();
  return command ? problem : error;
}
