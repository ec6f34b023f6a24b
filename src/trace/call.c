/* See call.h. Compiled with general registers only; whatever may use others runs under
 * rf_with_vectors_saved(). */
#include "trace/call.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/uio.h>

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/quiet.h"
#include "base/signals.h"
#include "base/thread.h"
#include "recording/claim.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/account.h"
#include "trace/callers.h"
#include "trace/callers_walk.h"
#include "trace/edges.h"
#include "trace/full.h"
#include "trace/pace.h"
#include "trace/records.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define SLOTS_PER_CHUNK 16

_Static_assert(offsetof(struct rf_thread, slot_capacity) == 0, "entry.S: THREAD_CAPACITY");
_Static_assert(offsetof(struct rf_thread, slots) == 8, "entry.S: THREAD_SLOTS");
_Static_assert(offsetof(struct rf_thread, stack_low) == 16, "entry.S: THREAD_STACK_LOW");
_Static_assert(offsetof(struct rf_tls, self) == 0 && offsetof(struct rf_tls, top) == 8, "entry.S: TLS_*");
_Static_assert(offsetof(struct rf_slot, entered) == RF_SLOT_ENTERED, "entry.S");
_Static_assert(offsetof(struct rf_slot, depth) == RF_SLOT_DEPTH, "entry.S");
_Static_assert(offsetof(struct rf_slot, next) == RF_SLOT_NEXT, "entry.S");
_Static_assert(offsetof(struct rf_thread, countdowns) == RF_THREAD_COUNTDOWNS, "stub.c");

struct rf_site *rf_sites;
char *rf_trace_base;
struct rf_probe_cycles rf_probe_cycles = {.counting = 4};
static uint32_t function_count; /* read by threads that run: raised last */
static uint64_t dropped;
static bool silent; /* a child that is not followed: its functions stay patched, but pass through */

void rf_calls_start(void) { rf_trace_base = (char *)rf_recording_header(); }
void rf_calls_set_probe_cost(uint64_t inside, uint64_t outside) {
  rf_probe_cycles.inside = inside;
  rf_probe_cycles.outside = outside;
}
void rf_calls_set_function_count(uint32_t count) { function_count = count; }
void rf_calls_silence(void) { silent = true; }
uint64_t rf_calls_dropped(void) { return dropped; }

uintptr_t rf_blocked_on_own_stack(uintptr_t a, uintptr_t b, uintptr_t c, void *function) {
  uint64_t mask = rf_signals_block();
  uintptr_t answer = rf_on_own_stack(a, b, c, function);
  rf_signals_restore(mask);
  return answer;
}

/* ---- exit ---- */

/* Of a call that stands for others, too. cycles: now; 0: on other clocks the gap between calls says nothing.
 */
static inline uint64_t plausible_of(struct rf_slot *slot, uint32_t flags, uint64_t cycles,
                                    uint64_t duration) {
  uint64_t weight = rf_weight(flags);
  return LIKELY(weight == 1 || !cycles) ? duration : rf_pace_plausible(slot, cycles, duration, weight);
}

#define RARE_FLAGS (RF_RECORD_UNWOUND | RF_RECORD_FOREIGN | RF_RECORD_INHERITED)

/* While every call is timed, the caller is the record below's function. */
static inline void note_edge(const struct rf_thread *thread, struct rf_record *record, uint64_t duration) {
  if (rf_edges_on && !thread->thinning) rf_edge_add(record, rf_edge_caller(record), duration);
}

/*
 * While calls are thinned the record below may not be the caller's, which was perhaps merely counted. What a
 * timed call took then comes off its caller function's sum, whichever of that function's calls it was in: as
 * unbiased, since both are weighted. Mostly the return address tells that function, and direct recursion with
 * it; only where the caller is not timed, or recursion over other functions has to be told, a stack is walked
 * now and then. Returns whether the function called itself.
 */
static inline bool credit_caller(struct rf_thread *thread, struct rf_record *record, uint64_t duration,
                                 uintptr_t rbp) {
  uint32_t caller = rf_caller_at(record->return_address);
  struct rf_slot *callers = caller < thread->slot_room ? thread->slots[caller] : NULL;
  const struct rf_slot *slot =
      record->slot; /* whose depth tells recursion, as long as all its calls were timed */
  bool inner_known = !(slot->next & RF_RECORD_RECURSIVE) || slot->depth > 1 || !slot->counted;
  uint64_t amount = rf_callers_time(duration, rf_weight(record->flags));
  if (LIKELY(callers)) {
    if (rf_edges_on) rf_edge_add(record, caller, duration);
    callers->sum_children += amount;
    if (caller == record->id) return true;
    if (LIKELY(inner_known)) return false;
  }
  struct rf_walk_order order = {.duration = duration,
                                .amount = amount,
                                .given = rf_walk_time(thread, amount),
                                .rbp = rbp,
                                .credited = callers != NULL};
  if (order.given) rf_preserved_on_own_stack((uintptr_t)record, (uintptr_t)&order, 0, rf_callers_walk);
  return false;
}

/* Makes the call that lies in one that was merely counted an inner one: the depth knows timed ones only. */
static inline void note_inner(struct rf_slot *slot, uint64_t weight, uint64_t plausible) {
  if (slot->depth != 0) return;
  slot->sum_outer -= weight * plausible;
  slot->inner_weights += weight;
  slot->next |= RF_RECORD_RECURSIVE;
}

static inline uint64_t duration_of(const struct rf_record *record, uint64_t now) {
  return now > record->start ? now - record->start : 0;
}

/* The last that happens to a record. */
static inline void free_record(struct rf_record *record) {
  record->position = RF_RECORD_FREE;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_tls.top = (char *)record;
}

/* flags: as the call had them; clock: in cycles; now: on the function's clock. */
static inline __attribute__((always_inline)) void end_call(struct rf_record *record, uint32_t flags,
                                                           uint64_t clock, uint64_t now, uintptr_t rbp) {
  struct rf_thread *thread = rf_tls.self;
  struct rf_slot *slot = record->slot;
  uint64_t duration = duration_of(record, now);
  if (__builtin_expect(rf_edges_on, 0)) note_edge(thread, record, duration);
  uint64_t weight = rf_weight(flags),
           plausible = plausible_of(slot, flags, flags & RF_RECORD_FULL ? 0 : clock, duration);
  bool inner = false;
  if (LIKELY(!thread->thinning))
    record[-1].child += duration + rf_probe_cycles.outside;
  else
    inner = credit_caller(thread, record, plausible, rbp);
  rf_slot_add(slot, duration, plausible, record->child, weight);
  if (inner) note_inner(slot, weight, plausible);
  if (flags & RF_RECORD_PACED) rf_pace(thread, slot, clock, flags);
  record->flags = 0;
  free_record(record);
}

/*
 * Counters for a duration, where the recording has room for them without growing: without it each of the first
 * calls of every function took two system calls and a saving of the vector registers, a millisecond for a thousand.
 * A handler may make the same ones meanwhile: then its own stay.
 */
static RF_PRESERVE_ALL __attribute__((noinline)) bool make_octave_here(struct rf_slot *slot,
                                                                       uint64_t duration) {
  rf_ref *octave = &slot->octave[rf_bucket_of(duration).octave], none = 0;
  char *counters = rf_claim_mapped((struct rf_header *)rf_trace_base, RF_SUBBUCKETS * sizeof(uint64_t));
  if (!counters) return false;
  __atomic_compare_exchange_n(octave, &none, (rf_ref)(counters - rf_trace_base), false, __ATOMIC_RELAXED,
                              __ATOMIC_RELAXED);
  return true;
}

/* Of a thread that is no forked child's: its recording would be the parent's. */
static inline bool has_counter(struct rf_slot *slot, uint64_t duration) {
  return LIKELY(rf_slot_counts(slot, duration)) || make_octave_here(slot, duration);
}

/* Behind rf_exit_rare, which left the call as a usual one, unless it was the parent's. */
static RF_PRESERVE_ALL __attribute__((noinline)) void
end_prepared(struct rf_record *record, uint32_t flags, uint64_t clock, uint64_t now, uintptr_t rbp) {
  struct rf_slot *slot = record->slot;
  if (slot && !(record->flags & RF_RECORD_INHERITED)) {
    end_call(record, flags, clock, now, rbp);
    return;
  }
  record->flags = 0;
  free_record(record);
}

/* A call that is no usual one, or whose duration has no counter yet. now: on the function's clock. */
static RF_PRESERVE_ALL __attribute__((noinline)) void
exit_unusual(struct rf_record *record, uint32_t flags, uint64_t clock, uint64_t now, uintptr_t rbp) {
  record->flags &= ~(uint32_t)RF_RECORD_FULL; /* it is done */
  rf_preserved_on_own_stack((uintptr_t)record, now, flags & RF_RECORD_FULL ? 0 : clock, rf_exit_rare);
  if (!(flags & RF_RECORD_FOREIGN)) end_prepared(record, flags, clock, now, rbp);
}

RF_PRESERVE_ALL void rf_exit(struct rf_record *record, uint64_t clock, uintptr_t rbp) {
  uint64_t now = clock;
  uint32_t flags = record->flags;
  bool usual = !(flags & RARE_FLAGS) && rf_tls.top == (char *)(record + 1) && rf_tls.self->slot_room;
  if (flags & RF_RECORD_FULL) {
    rf_full_exit(record, clock);
    now = record->body;
  }
  if (LIKELY(usual && has_counter(record->slot, duration_of(record, now))))
    end_call(record, flags, clock, now, rbp);
  else
    exit_unusual(record, flags, clock, now, rbp);
}

/* Whether there is nothing to a call's end but its measurement. */
static inline bool is_plain(const struct rf_thread *thread, const struct rf_record *record) {
  return LIKELY(thread->slot_room && !thread->thinning && !rf_edges_on) &&
         LIKELY(rf_tls.top == (const char *)(record + 1));
}

static inline void end_plain(struct rf_record *record, uint64_t duration) {
  record[-1].child += duration + rf_probe_cycles.outside;
  rf_slot_add(record->slot, duration, duration, record->child, 1);
}

RF_PRESERVE_ALL int rf_exit_plain(struct rf_record *record, uint64_t clock) {
  if (!is_plain(rf_tls.self, record)) return 0;
  uint64_t duration = duration_of(record, clock);
  if (!LIKELY(rf_slot_counts(record->slot, duration))) return 0;
  end_plain(record, duration);
  free_record(record);
  return 1;
}

RF_PRESERVE_ALL int rf_exit_measured(struct rf_record *record, uint64_t clock) {
  struct rf_thread *thread = rf_tls.self;
  uint32_t flags = record->flags;
  uint64_t now = clock;
  if (!is_plain(thread, record)) return 0;
  if (flags & RF_RECORD_FULL) {
    rf_full_exit(record, clock);
    now = record->body;
  }
  uint64_t duration = duration_of(record, now);
  if (!LIKELY(has_counter(record->slot, duration))) {
    exit_unusual(record, flags, clock, now, 0);
    return 1;
  }
  end_plain(record, duration);
  if (flags & RF_RECORD_PACED) rf_pace(thread, record->slot, clock, flags);
  record->flags = 0;
  free_record(record);
  return 1;
}

static void make_octave(struct rf_slot *slot, uint32_t octave) {
  uint64_t *counters = rf_recording_alloc(RF_SUBBUCKETS * sizeof *counters);
  if (!counters)
    rf_recording_header()->dropped_samples++;
  else
    slot->octave[octave] = rf_recording_ref(counters);
}

/* A duration with all that may be missing for it. */
static void add_duration(struct rf_slot *slot, uint64_t duration, uint64_t plausible, uint64_t child,
                         uint64_t weight) {
  if (!rf_slot_counts(slot, duration))
    rf_with_vectors_saved(make_octave, (uintptr_t)slot, rf_bucket_of(duration).octave);
  rf_slot_add(slot, duration, plausible, child, weight);
}

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
  uint64_t plausible = plausible_of(slot, flags, flags & RF_RECORD_FULL ? 0 : record->body, duration);
  struct rf_record *below = flags & RF_RECORD_FOREIGN ? NULL : rf_record_below(record);
  bool inner = false;
  note_edge(rf_tls.self, record, duration);
  if (thread && thread->thinning)
    inner = credit_dead(thread, record, plausible, below);
  else if (below)
    below->child += duration + rf_probe_cycles.outside;
  add_duration(slot, duration, plausible, record->child, rf_weight(flags));
  if (inner) note_inner(slot, rf_weight(flags), plausible);
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

/* Of another thread, or of another stack. */
static void close_dead(struct rf_record *record) { close_record(NULL, record); }

/* Frees the pile down to record, which stays. */
static void close_above(struct rf_record *record) {
  struct rf_record *top = (struct rf_record *)rf_tls.top;
  while (top && (top = rf_record_below(top)) && top != record) close_record(rf_tls.self, top);
}

static struct rf_slot *slot_for(struct rf_thread *thread, uint32_t id);

/* Which record the caller's is, nothing tells; its function is told by the return address, where it is timed.
 */
static void credit_foreign(const struct rf_thread *thread, struct rf_record *record, uint64_t duration) {
  uint32_t caller = rf_caller_at(record->return_address);
  struct rf_slot *callers = caller < thread->slot_room ? thread->slots[caller] : NULL;
  if (!callers) return;
  callers->sum_children += rf_callers_time(duration, rf_weight(record->flags));
  if (rf_edges_on) rf_edge_add(record, caller, duration);
}

static void exit_foreign(struct rf_record *record, uint64_t now, uint64_t cycles) {
  struct rf_thread *thread = rf_thread_get();
  struct rf_slot *slot = record->slot;
  if (slot && thread && !(record->flags & RF_RECORD_INHERITED)) {
    struct rf_slot *mine = slot_for(thread, record->id); /* it may have begun on another thread */
    if (mine && mine != slot) {
      if (slot->depth) slot->depth--;
      mine->depth++;
    }
    if (!mine) mine = slot;
    uint64_t duration = duration_of(record, now);
    uint64_t plausible = plausible_of(mine, record->flags, cycles, duration);
    add_duration(mine, duration, plausible, record->child, rf_weight(record->flags));
    credit_foreign(thread, record, plausible);
    if (record->flags & RF_RECORD_PACED) rf_pace(thread, mine, rf_cycles(), record->flags);
  }
  rf_foreign_give(record);
}

/* Leaves the call as a usual one, which its caller ends. */
static void prepare_own(struct rf_record *record, uint64_t now) {
  close_above(record);
  struct rf_slot *slot = record->slot;
  record->flags &= ~(uint32_t)RF_RECORD_UNWOUND; /* it has returned after all */
  if (record->flags & RF_RECORD_PACED) rf_pace_spend(rf_tls.self, slot, RF_PACE_RARE * rf_pace_probe_cost);
  rf_tls.top = (char *)(record + 1);
  if (!slot || record->flags & RF_RECORD_INHERITED) return;
  uint64_t duration = duration_of(record, now);
  if (!rf_slot_counts(slot, duration))
    rf_with_vectors_saved(make_octave, (uintptr_t)slot, rf_bucket_of(duration).octave);
}

/* cycles: what the time stamp counter says; 0: now is on another clock. */
void rf_exit_rare(struct rf_record *record, uint64_t now, uint64_t cycles) {
  rf_tls.internal++;
  if (rf_threads_forked()) rf_with_vectors_saved(rf_thread_get, 0, 0);
  if (record->flags & RF_RECORD_FOREIGN)
    exit_foreign(record, now, cycles);
  else
    prepare_own(record, now);
  rf_tls.internal--;
}

static void make_octave_for(struct rf_slot *slot, uint64_t duration) {
  rf_with_vectors_saved(make_octave, (uintptr_t)slot, rf_bucket_of(duration).octave);
}

/* Flags and weight of the call that begins: the weight is this one call's. As in the assembly's way in. */
static inline uint32_t take_next(struct rf_slot *slot) {
  uint32_t next = slot->next, weight = next >> RF_RECORD_WEIGHT_SHIFT;
  if (LIKELY(!weight)) return next;
  slot->next = next & ((1u << RF_RECORD_WEIGHT_SHIFT) - 1);
  if (next & RF_RECORD_RECURSIVE) rf_pace_nested(slot, weight);
  return next;
}

/* f ended in a jump to another timed function: its time ends here, its record goes on as that function's. */
static inline void begin_in(struct rf_record *record, uint32_t id, uint64_t now, struct rf_slot *slot) {
  uint32_t kept = RF_RECORD_FOREIGN | RF_RECORD_CHECKED; /* rules see the final result */
  record->flags = (record->flags & kept) | take_next(slot);
  record->slot = slot;
  record->child = 0;
  record->id = id;
  record->body = rf_sites[id].body;
  slot->entered++;
  slot->depth++;
  record->start = now;
}

RF_PRESERVE_ALL void rf_tail_plain(struct rf_record *record, uint32_t id, uint64_t now,
                                   struct rf_slot *slot) {
  struct rf_slot *ended = record->slot;
  uint64_t end = now;
  if (record->flags & RF_RECORD_FULL) {
    rf_full_exit(record, now);
    end = record->body;
  }
  uint64_t duration = end > record->start ? end - record->start : 0;
  if (LIKELY(ended && !(record->flags & RF_RECORD_INHERITED))) {
    if (!rf_slot_counts(ended, duration))
      rf_preserved_on_own_stack((uintptr_t)ended, duration, 0, make_octave_for);
    rf_slot_add(ended, duration,
                plausible_of(ended, record->flags, record->flags & RF_RECORD_FULL ? 0 : now, duration),
                record->child, rf_weight(record->flags));
    if (!(record->flags & RF_RECORD_FOREIGN)) record[-1].child += duration + rf_probe_cycles.outside;
    note_edge(rf_tls.self, record, duration);
    if (record->flags & RF_RECORD_PACED) rf_pace(rf_tls.self, ended, now, record->flags);
  }
  begin_in(record, id, now, slot);
}

RF_PRESERVE_ALL void rf_tail_full(struct rf_record *record, uint32_t id, uint64_t now, struct rf_slot *slot) {
  rf_tail_plain(record, id, now, slot);
  rf_full_enter(record);
}

/* The arguments are looked at by the assembly's next step, which begins the full measurement, too. */
RF_PRESERVE_ALL void rf_tail_checked(struct rf_record *record, uint32_t id, uint64_t now,
                                     struct rf_slot *slot) {
  rf_tail_plain(record, id, now, slot);
}

/* ---- entry ---- */

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

static struct rf_slot *slot_for(struct rf_thread *thread, uint32_t id) {
  if (id < thread->slot_room && thread->slots[id]) return thread->slots[id];
  return (struct rf_slot *)rf_with_vectors_saved(find_slot, (uintptr_t)thread, id);
}

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

/* Records whose frames are gone, as this call shows by running at or above their positions. */
static void close_passed(uintptr_t position) {
  struct rf_record *top = (struct rf_record *)rf_tls.top, *below;
  while (top && (below = rf_record_below(top)) && below->position <= position) {
    close_record(rf_tls.self, below);
    top = below;
  }
  rf_tls.top = (char *)top;
}

static struct rf_record *begin_foreign(uint32_t id, uintptr_t position, struct rf_record *rbx,
                                       struct rf_slot *slot) {
  if (is_tail_call(position, rbx)) {
    rf_tail_plain(rbx, id, rf_cycles(), slot);
    return rbx;
  }
  struct rf_record *record = rf_foreign_take(position, close_dead);
  if (!record) return NULL;
  record->flags |= take_next(slot);
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
  struct rf_slot *slot = thread ? slot_for(thread, id) : NULL;
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
      close_passed(position);
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

/* ---- blocks: no functions, but timed like them ---- */

static struct rf_slot *slot_slowly(struct rf_thread *thread, uint32_t id) {
  if (rf_tls.internal || silent || id >= function_count) return NULL;
  uint64_t mask = rf_signals_block();
  rf_tls.internal++;
  struct rf_slot *slot = slot_for(thread, id);
  rf_tls.internal--;
  rf_signals_restore(mask);
  return slot;
}

struct rf_slot *rf_calls_slot(struct rf_thread *thread, uint32_t id) {
  struct rf_slot *slot = id < thread->slot_room ? thread->slots[id] : NULL;
  return LIKELY(slot) ? slot : slot_slowly(thread, id);
}

void rf_calls_add(struct rf_slot *slot, uint64_t duration) { add_duration(slot, duration, duration, 0, 1); }

uintptr_t rf_enter_slow(uint32_t id, uintptr_t position, struct rf_record *rbx) {
  if (rf_tls.internal || silent || id >= function_count) return RF_ENTER_BYPASS;
  return rf_blocked_on_own_stack(id, position, (uintptr_t)rbx, prepare_quietly);
}

/* ---- other ends ---- */

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

void rf_calls_abandon(struct rf_thread *thread) { rf_records_clear(thread, close_dead); }

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
    close_passed(here);
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
