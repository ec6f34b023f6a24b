/*
 * Calls that do not return: an exception, longjmp, the thread's end or a fork left their records behind. They are told by
 * their positions, and by the mark of rf_personality.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/uio.h>

#include "arch/arch.h"
#include "base/quiet.h"
#include "base/signals.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/call.h"
#include "trace/call_parts.h"
#include "trace/callers.h"
#include "trace/full.h"
#include "trace/records.h"

/*
 * What a call took that an exception has left comes off its caller, as in credit_caller(); but its frames are
 * gone, so there is no stack to walk, and the nearest timed call stands for a caller that is not timed.
 */
static bool credit_dead(const struct rf_thread *thread, struct rf_record *record, uint64_t duration,
                        struct rf_record *below) {
  uint32_t caller = rf_caller_at(record->return_address);
  struct rf_slot *callers = caller < thread->slot_room ? thread->slots[caller] : NULL;
  if (callers && rf_edges_on) rf_edge_add(record, caller, duration);
  if (!callers && below) callers = below->slot;
  if (callers) callers->sum_children += rf_callers_time(duration, rf_weight(record->flags));
  return caller == record->id;
}

/* thread: the running one, if the record is its own. */
static void end_marked(struct rf_thread *thread, struct rf_record *record) {
  struct rf_slot *slot = record->slot;
  uint32_t flags = record->flags;
  uint64_t duration = record->body > record->start ? record->body - record->start : 0;
  uint64_t plausible = rf_call_plausible(slot, flags, flags & RF_RECORD_FULL ? 0 : record->body, duration);
  struct rf_record *below = flags & RF_RECORD_FOREIGN ? NULL : rf_record_below(record);
  bool inner = false;
  rf_call_note_edge(rf_tls.self, record, duration);
  if (thread && thread->thinning)
    inner = credit_dead(thread, record, plausible, below);
  else if (below)
    below->child += duration + rf_probe_cycles.outside;
  rf_slot_add_fully(slot, duration, plausible, record->child, rf_weight(flags));
  if (inner) rf_call_note_inner(slot, rf_weight(flags), plausible);
}

/* Ends a call that will not return. With a mark of the personality its end is known, else it counts without a
 * duration. */
static void close_record(struct rf_thread *thread, struct rf_record *record) {
  struct rf_slot *slot = record->slot;
  if (slot && !(record->flags & RF_RECORD_INHERITED)) {
    uint64_t weight = rf_weight(record->flags);
    slot->unwound++;
    slot->unwound_weights += weight;
    if (record->flags & RF_RECORD_FULL) rf_full_drop(record);
    if (record->flags & RF_RECORD_UNWOUND) {
      end_marked(thread, record);
    } else {
      slot->endless_weights += weight;
      if (slot->depth) slot->depth--;
    }
    if (thread && record->flags & RF_RECORD_PACED) {
      uint64_t probes = (record->flags & RF_RECORD_UNWOUND ? 2 : 1) * RF_PACE_RARE;
      rf_pace_spend(thread, slot, probes * rf_pace_probe_cost);
      rf_pace(thread, slot, rf_cycles(), record->flags);
    }
  }
  record->flags = 0;
  record->position = RF_RECORD_FREE;
}

void rf_call_close(struct rf_record *record) { close_record(NULL, record); }

void rf_calls_close_above(struct rf_record *record) {
  struct rf_record *top = (struct rf_record *)rf_tls.top;
  while (top && (top = rf_record_below(top)) && top != record) close_record(rf_tls.self, top);
}

void rf_calls_close_passed(uintptr_t position) {
  struct rf_record *top = (struct rf_record *)rf_tls.top, *below;
  while (top && (below = rf_record_below(top)) && below->position <= position) {
    close_record(rf_tls.self, below);
    top = below;
  }
  rf_tls.top = (char *)top;
}

static void inherit(struct rf_record *record) {
  record->slot = NULL;
  record->flags |= RF_RECORD_INHERITED;
}

static void inherit_pile(void) {
  struct rf_record *record = (struct rf_record *)rf_tls.top;
  while (record && (record = rf_record_below(record))) inherit(record);
}

void rf_calls_inherit(void) {
  inherit_pile();
  rf_foreign_visit(inherit);
}

void rf_calls_abandon(struct rf_thread *thread) { rf_records_clear(thread, rf_call_close); }

/* Records whose stack exit() uses again, behind pthread_exit of the main thread: an unwinder has passed them,
 * or the return address that their bodies would need is gone. */
static void close_gone(void) {
  struct rf_record *top = (struct rf_record *)rf_tls.top, *below;
  while (top && (below = rf_record_below(top)) && below->position != RF_RECORD_FREE &&
         (below->flags & RF_RECORD_UNWOUND || *(uintptr_t *)below->position != (uintptr_t)rf_return)) {
    close_record(rf_tls.self, below);
    top = below;
  }
  rf_tls.top = (char *)top;
}

/* Of a coroutine's stack, which may be unmapped: false where the return address that its body needs is gone.
 */
static bool may_return(const struct rf_record *record) {
  uintptr_t found = 0;
  struct iovec here = {&found, sizeof found}, there = {(void *)record->position, sizeof found};
  long got = rf_syscall(SYS_process_vm_readv, rf_syscall(SYS_getpid), &here, 1, &there, 1, 0);
  return got == (long)sizeof found ? found == (uintptr_t)rf_return : got != -EFAULT;
}

/* Counts the call only, and leaves the record: other threads are still running. */
static void count_gone(struct rf_record *record) {
  struct rf_slot *slot = record->slot;
  if (!slot || record->flags & RF_RECORD_INHERITED || may_return(record)) return;
  uint64_t weight = rf_weight(record->flags);
  slot->unwound++;
  slot->unwound_weights += weight;
  slot->endless_weights += weight;
  if (slot->depth) slot->depth--;
}

void rf_calls_settle(void) {
  struct rf_thread *thread = rf_tls.self;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  uint64_t mask = rf_signals_block();
  if (here >= thread->stack_low && here < thread->stack_high) {
    rf_calls_close_passed(here);
    close_gone();
  }
  if (!rf_quiet()) rf_foreign_visit(count_gone);
  rf_signals_restore(mask);
}

/*
 * Called by whatever unwinder passes an entry frame on its second round: the call has ended here. It only
 * marks the topmost unmarked record; which one it is can't be asked of the unwinder, whose copy may be any. A
 * wrong mark does no harm: a call that returns after all ignores it.
 */
int rf_personality(int version, int actions, uint64_t class, void *exception, void *context);
int rf_personality(int version, int actions, uint64_t class, void *exception, void *context) {
  enum { CLEANUP_PHASE = 2, CONTINUE_UNWIND = 8 };
  (void)version, (void)class, (void)exception, (void)context;
  if (!(actions & CLEANUP_PHASE)) return CONTINUE_UNWIND;
  struct rf_record *record = (struct rf_record *)rf_tls.top;
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  struct rf_thread *thread = rf_tls.self;
  if (here < thread->stack_low || here >= thread->stack_high) return CONTINUE_UNWIND;
  while (record && (record = rf_record_below(record)))
    if (!(record->flags & RF_RECORD_UNWOUND)) {
      if (record->position == RF_RECORD_FREE) continue;
      record->body = record->flags & RF_RECORD_FULL ? rf_full_clock(record->id, rf_cycles()) : rf_cycles();
      record->flags |= RF_RECORD_UNWOUND;
      break;
    }
  return CONTINUE_UNWIND;
}
