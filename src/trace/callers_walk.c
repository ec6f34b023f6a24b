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
#define NEAR_DEPTH 6 /* first, where only the nearest timed caller is looked for */

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

struct callers {
  struct rf_slot *nearest; /* NULL: a timed function that has no slot on this thread, or none */
  bool found, inner;       /* a timed caller; the function among its own callers */
};

static struct callers look(const struct walk *walk, uint32_t id) {
  const struct rf_thread *thread = rf_tls.self;
  struct callers callers = {0};
  for (size_t i = 0; i < walk->count; i++) {
    uint32_t caller = rf_caller_at(walk->frame[i]);
    if (caller == RF_NO_CALLER) continue;
    callers.inner |= caller == id;
    if (callers.found) continue;
    callers.found = true;
    callers.nearest = caller < thread->slot_capacity ? thread->slots[caller] : NULL;
  }
  return callers;
}

/* The portions stand for all calls that were not walked for, so they count in place of the call's own time. */
static void account(struct callers callers, bool whole, struct rf_record *record, const struct rf_walk_order *order) {
  struct rf_slot *slot = record->slot;
  uint64_t given = order->portions * rf_walk_portion(rf_tls.self);
  bool recursive = slot->next & RF_RECORD_RECURSIVE;
  if (callers.nearest) {
    callers.nearest->sum_children += given;
    if (rf_edges_on) rf_edge_add_time(record, callers.nearest->function, order->duration, given);
  }
  if (!whole && (!callers.found || (recursive && !callers.inner))) slot->lost_children += given;
  /* The depth knows timed calls only: what it takes for outermost calls lies within ones that were merely counted. */
  if (callers.inner && slot->depth == 1) slot->sum_outer -= given < slot->sum_outer ? given : slot->sum_outer;
}

/* As far as needed: the nearest timed caller is mostly some frames away. */
static struct callers walk_up(struct walk *walk, const struct rf_record *record, uintptr_t rbp) {
  bool far = record->slot->next & RF_RECORD_RECURSIVE;
  for (;; far = true) {
    start_at(walk, record, rbp);
    walk->most = far ? DEPTH : NEAR_DEPTH;
    rf_with_vectors_saved(step, (uintptr_t)walk, 0);
    struct callers callers = look(walk, record->id);
    if (far || callers.found || !walk->truncated) return callers;
  }
}

/* Signals may come: the unwinder and the slots bear handlers that do the same. */
void rf_callers_walk(struct rf_record *record, struct rf_walk_order *order) {
  uint64_t begin = rf_cycles();
  struct rf_thread *thread = rf_tls.self;
  struct walk walk;
  if (rf_quiet()) { /* looking at unknown pages takes a system call */
    record->slot->lost_children += order->portions * rf_walk_portion(thread);
    return;
  }
  struct callers callers = walk_up(&walk, record, order->rbp);
  account(callers, !walk.truncated, record, order);
  uint64_t cost = rf_cycles() - begin;
  thread->window_cost += cost;
  thread->walk_cost = thread->walk_cost ? (15 * thread->walk_cost + cost) / 16 : cost;
}
