/*
 * The slow way in: a thread's first call, a function's first call on a thread, a full chunk of records, another
 * stack, records whose frames are gone. On an own stack, signals blocked.
 */
#include <signal.h>

#include "arch/arch.h"
#include "base/signals.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/call.h"
#include "trace/call_parts.h"
#include "trace/full.h"
#include "trace/records.h"

#define SLOTS_PER_CHUNK 16

static uint32_t function_count; /* read by threads that run: raised last */
static uint64_t dropped;
static bool silent; /* a child that is not followed: its functions stay patched, but pass through */

void rf_calls_set_function_count(uint32_t count) { function_count = count; }
void rf_calls_silence(void) { silent = true; }
uint64_t rf_calls_dropped(void) { return dropped; }

/* ---- slots ---- */

/* A function that the user asked more of than time alone is timed at every call. */
static void set_pace(struct rf_slot *slot, uint32_t id) {
  const struct rf_full *full = rf_sites[id].extra;
  uint32_t own_share = full ? full->own_share : 0;
  if (rf_pace_thins(own_share) && id < rf_countdown_capacity && !(full && full->every_call))
    rf_pace_begin(slot, own_share);
}

static struct rf_slot *new_slot(struct rf_thread *thread, uint32_t id) {
  struct rf_slot *slot = rf_table_append(&thread->entry->slots, RF_TABLE_SLOT, sizeof *slot, SLOTS_PER_CHUNK);
  if (!slot) return NULL;
  slot->function = id;
  slot->min = UINT64_MAX;
  set_pace(slot, id);
  rf_table_publish(thread->entry->slots);
  return slot;
}

static struct rf_slot *find_slot(struct rf_thread *thread, uint32_t id) {
  if (id >= thread->slot_room && !rf_thread_reserve_slots(thread, function_count)) return NULL;
  struct rf_slot *slot = thread->known_slots[id];
  if (!slot) slot = new_slot(thread, id);
  if (!slot) return NULL;
  slot->threads++;
  thread->known_slots[id] = slot;
  thread->slots[id] = slot;
  return slot;
}

struct rf_slot *rf_calls_slot_of(struct rf_thread *thread, uint32_t id) {
  if (id < thread->slot_room && thread->slots[id]) return thread->slots[id];
  return (struct rf_slot *)rf_with_vectors_saved(find_slot, (uintptr_t)thread, id);
}

/* ---- records ---- */

/* A signal stack may lie in a frame of the thread's own stack: positions there prove nothing. The kernel's
 * SS_ONSTACK is of no use here, since this code runs on another stack. */
static bool on_signal_stack(uintptr_t position) {
  stack_t stack;
  return rf_syscall(SYS_sigaltstack, 0, &stack) == 0 && !(stack.ss_flags & SS_DISABLE) &&
         position - (uintptr_t)stack.ss_sp < stack.ss_size;
}

static bool is_tail_call(uintptr_t position, const struct rf_record *rbx) {
  return *(uintptr_t *)position == (uintptr_t)rf_return && rbx->position == position;
}

static struct rf_record *begin_foreign(uint32_t id, uintptr_t position, struct rf_record *rbx,
                                       struct rf_slot *slot) {
  if (is_tail_call(position, rbx)) {
    rf_tail_plain(rbx, id, rf_cycles(), slot);
    return rbx;
  }
  struct rf_record *record = rf_foreign_take(position, rf_call_close);
  if (!record) return NULL;
  record->flags |= rf_call_take_next(slot);
  record->return_address = *(uintptr_t *)position;
  record->rbx = (uintptr_t)rbx;
  record->slot = slot;
  record->id = id;
  record->body = rf_sites[id].body;
  slot->entered++;
  slot->depth++;
  return record;
}

static uintptr_t prepare(uint32_t id, uintptr_t position, struct rf_record *rbx) {
  struct rf_thread *thread = rf_tls.self;
  if (!thread->entry) thread = (struct rf_thread *)rf_with_vectors_saved(rf_thread_get, 0, 0);
  if (thread && rf_threads_look_wanted(thread)) rf_pace_look(thread, id, function_count, rf_cycles());
  struct rf_slot *slot = thread ? rf_calls_slot_of(thread, id) : NULL;
  if (!slot) {
    dropped++;
    return RF_ENTER_BYPASS;
  }
  bool own = position >= thread->stack_low && position < thread->stack_high;
  if (own && rf_tls.top) {
    struct rf_record *below = (struct rf_record *)rf_tls.top - 1;
    bool passed = below->position <= position && !is_tail_call(position, rbx);
    if (passed && on_signal_stack(position))
      own = false;
    else if (passed) {
      rf_calls_close_passed(position);
      if (rf_pace_skips(thread, slot)) return RF_ENTER_BYPASS; /* a call of it ended just now */
    }
  }
  if (!own) {
    struct rf_record *record = begin_foreign(id, position, rbx, slot);
    return record ? (uintptr_t)record : RF_ENTER_BYPASS;
  }
  return rf_records_make_room(thread) ? RF_ENTER_RETRY : RF_ENTER_BYPASS;
}

static uintptr_t prepare_quietly(uint32_t id, uintptr_t position, struct rf_record *rbx) {
  rf_tls.internal++;
  uintptr_t answer = prepare(id, position, rbx);
  rf_tls.internal--;
  return answer;
}

uintptr_t rf_enter_slow(uint32_t id, uintptr_t position, struct rf_record *rbx) {
  if (rf_tls.internal || silent || id >= function_count) return RF_ENTER_BYPASS;
  return rf_blocked_on_own_stack(id, position, (uintptr_t)rbx, prepare_quietly);
}

/* ---- blocks: no functions, but timed like them ---- */

static struct rf_slot *slot_slowly(struct rf_thread *thread, uint32_t id) {
  if (rf_tls.internal || silent || id >= function_count) return NULL;
  uint64_t mask = rf_signals_block();
  rf_tls.internal++;
  struct rf_slot *slot = rf_calls_slot_of(thread, id);
  rf_tls.internal--;
  rf_signals_restore(mask);
  return slot;
}

struct rf_slot *rf_calls_slot(struct rf_thread *thread, uint32_t id) {
  struct rf_slot *slot = id < thread->slot_room ? thread->slots[id] : NULL;
  return LIKELY(slot) ? slot : slot_slowly(thread, id);
}

void rf_calls_add(struct rf_slot *slot, uint64_t duration) {
  rf_slot_add_fully(slot, duration, duration, 0, 1);
}
