/* See callers_walk.h. General registers only, but for the walk itself, around which vector state is saved. */
#include "trace/callers_walk.h"

#include <stdbool.h>

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/quiet.h"
#include "base/thread.h"
#include "trace/account.h"
#include "trace/callers.h"
#include "trace/edges.h"
#include "trace/pace.h"
#include "unwind/unwind.h"

#define DEPTH 192
#define NEAR_DEPTH 32 /* where only the nearest timed caller is looked for */

struct walk {
  struct rf_registers from;
  uintptr_t frame[DEPTH];
  size_t count, most;
  bool truncated;
};

static void step(struct walk *walk) {
  struct rf_thread *thread = rf_tls.self;
  if (!thread->unwind) thread->unwind = rf_unwind_cache_new(DEPTH);
  walk->count = rf_unwind_from(thread->unwind, &walk->from, walk->frame, walk->most, &walk->truncated);
}

/* The state right behind the call that the record belongs to. A byte before the return address, since a call may be its function's
 * last instruction. */
static void start_at(struct walk *walk, const struct rf_record *record, uintptr_t rbp) {
  walk->from = (struct rf_registers){0};
  walk->from.at[RF_REG_RETURN] = record->return_address - 1;
  walk->from.at[RF_REG_STACK] = record->position + sizeof(uintptr_t);
  walk->from.at[RF_REG_RECORD] = record->rbx;
  walk->from.at[RF_REG_FRAME] = rbp;
}

static void account(const struct walk *walk, struct rf_record *record, uint64_t duration) {
  struct rf_thread *thread = rf_tls.self;
  struct rf_slot *slot = record->slot;
  uint64_t weight = rf_weight(record->flags);
  bool found = false, recursive = slot->next & RF_RECORD_RECURSIVE, inner = false;
  for (size_t i = 0; i < walk->count && !(found && (inner || !recursive)); i++) {
    uint32_t id = rf_caller_at(walk->frame[i]);
    if (id == RF_NO_CALLER) continue;
    inner |= id == record->id;
    struct rf_slot *callers = !found && id < thread->slot_capacity ? thread->slots[id] : NULL;
    if (callers && rf_edges_on) rf_edge_add(record, id, duration);
    if (callers) callers->sum_children += rf_callers_time(duration, weight);
    found = true;
  }
  if (walk->truncated && (!found || (recursive && !inner))) slot->lost_children += weight * duration;
  /* The depth knows timed calls only: what it will take for an outermost call lies within one that was merely counted. */
  if (inner && slot->depth == 1) slot->sum_outer -= weight * duration;
}

/* Signals may come: the unwinder and the slots bear handlers that do the same. */
void rf_callers_walk(struct rf_record *record, uint64_t duration, uintptr_t rbp) {
  uint64_t begin = rf_cycles();
  struct walk walk;
  if (rf_quiet()) { /* looking at unknown pages takes a system call */
    record->slot->lost_children += rf_weight(record->flags) * duration;
    return;
  }
  start_at(&walk, record, rbp);
  walk.most = record->slot->next & RF_RECORD_RECURSIVE ? DEPTH : NEAR_DEPTH;
  rf_with_vectors_saved(step, (uintptr_t)&walk, 0);
  account(&walk, record, duration);
  rf_tls.self->window_cost += rf_cycles() - begin;
}
