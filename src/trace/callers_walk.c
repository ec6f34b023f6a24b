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
#include "trace/records.h"
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
  if (!thread->walks && (thread->walks = rf_unwind_cache_new(DEPTH))) rf_unwind_cache_show(thread->walks);
  walk->count = rf_unwind_from(thread->walks, &walk->from, walk->frame, walk->most, &walk->truncated);
}

/* The state right behind the call that the record belongs to. A byte before the return address, since a call
 * may be its function's last instruction. */
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

/*
 * A frame tells its function by its address. Where a timed function has jumped to another, only the entry's
 * frame stands for it (an address of rf_return): the n-th one up belongs to the n-th record under this
 * call's.
 */
static struct callers look(const struct walk *walk, struct rf_record *record) {
  const struct rf_thread *thread = rf_tls.self;
  struct callers callers = {0};
  struct rf_record *below = record->flags & RF_RECORD_FOREIGN ? NULL : rf_record_below(record);
  for (size_t i = 0; i < walk->count; i++) {
    bool entry = walk->frame[i] == (uintptr_t)rf_return;
    uint32_t caller = !entry ? rf_caller_at(walk->frame[i]) : below ? below->id : RF_NO_CALLER;
    if (entry && below) below = rf_record_below(below);
    if (caller == RF_NO_CALLER) continue;
    callers.inner |= caller == record->id;
    if (callers.found) continue;
    callers.found = true;
    callers.nearest = caller < thread->slot_room ? thread->slots[caller] : NULL;
  }
  return callers;
}

/*
 * The depth knows timed calls only: what it takes for an outermost call lies within one that was merely
 * counted. A walk that stands for more time than the call it was made for stands for as many more such calls.
 */
static void move_inside(struct rf_slot *slot, const struct rf_record *record,
                        const struct rf_walk_order *order) {
  uint64_t weight = rf_weight(record->flags), time = weight * order->duration;
  if (order->given > order->amount) {
    uint64_t times = (order->given << 8) / (order->amount | 1);
    weight = weight * times >> 8;
    time = time * times >> 8;
  }
  uint64_t part = time >> 10 < UINT32_MAX / 4 ? time >> 10 : UINT32_MAX / 4;
  slot->moved_squares += part * part;
  slot->sum_outer -= time; /* under 0 for a while: cut off there, it would be too much in the end */
  slot->inner_weights += weight;
}

static void account(struct callers callers, bool whole, struct rf_record *record,
                    const struct rf_walk_order *order) {
  struct rf_slot *slot = record->slot;
  uint64_t given = order->given;
  bool recursive = slot->next & RF_RECORD_RECURSIVE;
  if (callers.nearest && !order->credited) {
    callers.nearest->sum_children += given;
    if (rf_edges_on) rf_edge_add_time(record, callers.nearest->function, order->duration, given);
  }
  if (!whole && ((!callers.found && !order->credited) || (recursive && !callers.inner)))
    slot->lost_children += given;
  if (callers.inner && slot->depth == 1) move_inside(slot, record, order);
}

/* As far as needed: the nearest timed caller is mostly some frames away. */
static struct callers walk_up(struct walk *walk, struct rf_record *record, uintptr_t rbp) {
  bool far = record->slot->next & RF_RECORD_RECURSIVE;
  for (;; far = true) {
    start_at(walk, record, rbp);
    walk->most = far ? DEPTH : NEAR_DEPTH;
    rf_with_vectors_saved(step, (uintptr_t)walk, 0);
    struct callers callers = look(walk, record);
    if (far || callers.found || !walk->truncated) return callers;
  }
}

/* Signals may come: the unwinder and the slots bear handlers that do the same. */
void rf_callers_walk(struct rf_record *record, struct rf_walk_order *order) {
  uint64_t begin = rf_cycles();
  struct rf_thread *thread = rf_tls.self;
  struct walk walk;
  if (rf_quiet()) { /* looking at unknown pages takes a system call */
    record->slot->lost_children += order->given;
    return;
  }
  struct callers callers = walk_up(&walk, record, order->rbp);
  account(callers, !walk.truncated, record, order);
  uint64_t cost = rf_cycles() - begin;
  thread->window_walks += cost;
  thread->walk_cost = thread->walk_cost ? (15 * thread->walk_cost + cost) / 16 : cost;
}
