/*
 * Calls that return. See call.h. Compiled with general registers only; whatever may use others runs under
 * rf_with_vectors_saved().
 */
#include "trace/call.h"

#include <stddef.h>

#include "arch/arch.h"
#include "base/signals.h"
#include "recording/claim.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/call_parts.h"
#include "trace/callers.h"
#include "trace/callers_walk.h"
#include "trace/full.h"
#include "trace/records.h"

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

void rf_calls_start(void) { rf_trace_base = (char *)rf_recording_header(); }
void rf_calls_set_probe_cost(uint64_t inside, uint64_t outside) {
  rf_probe_cycles.inside = inside;
  rf_probe_cycles.outside = outside;
}

uintptr_t rf_blocked_on_own_stack(uintptr_t a, uintptr_t b, uintptr_t c, void *function) {
  uint64_t mask = rf_signals_block();
  uintptr_t answer = rf_on_own_stack(a, b, c, function);
  rf_signals_restore(mask);
  return answer;
}

/* ---- the usual ends ---- */

#define RARE_FLAGS (RF_RECORD_UNWOUND | RF_RECORD_FOREIGN | RF_RECORD_INHERITED)

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
  uint64_t duration = rf_call_duration(record, now);
  if (__builtin_expect(rf_edges_on, 0)) rf_call_note_edge(thread, record, duration);
  uint64_t weight = rf_weight(flags),
           plausible = rf_call_plausible(slot, flags, flags & RF_RECORD_FULL ? 0 : clock, duration);
  bool inner = false;
  if (LIKELY(!thread->thinning))
    record[-1].child += duration + rf_probe_cycles.outside;
  else
    inner = credit_caller(thread, record, plausible, rbp);
  rf_slot_add(slot, duration, plausible, record->child, weight);
  if (inner) rf_call_note_inner(slot, weight, plausible);
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
  if (LIKELY(usual && has_counter(record->slot, rf_call_duration(record, now))))
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
  uint64_t duration = rf_call_duration(record, clock);
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
    const struct rf_full *full = rf_sites[record->id].extra;
    if (full->flags) return 0;
    now = rf_full_read_clock(full->mode, clock);
  }
  uint64_t duration = rf_call_duration(record, now);
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

/* ---- the others ---- */

void rf_slot_make_octave(struct rf_slot *slot, uint32_t octave) {
  uint64_t *counters = rf_recording_alloc(RF_SUBBUCKETS * sizeof *counters);
  if (!counters)
    rf_recording_header()->dropped_samples++;
  else
    slot->octave[octave] = rf_recording_ref(counters);
}

void rf_slot_add_fully(struct rf_slot *slot, uint64_t duration, uint64_t plausible, uint64_t child,
                       uint64_t weight) {
  if (!rf_slot_counts(slot, duration))
    rf_with_vectors_saved(rf_slot_make_octave, (uintptr_t)slot, rf_bucket_of(duration).octave);
  rf_slot_add(slot, duration, plausible, child, weight);
}

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
    struct rf_slot *mine = rf_calls_slot_of(thread, record->id); /* it may have begun on another thread */
    if (mine && mine != slot) {
      if (slot->depth) slot->depth--;
      mine->depth++;
    }
    if (!mine) mine = slot;
    uint64_t duration = rf_call_duration(record, now);
    uint64_t plausible = rf_call_plausible(mine, record->flags, cycles, duration);
    rf_slot_add_fully(mine, duration, plausible, record->child, rf_weight(record->flags));
    credit_foreign(thread, record, plausible);
    if (record->flags & RF_RECORD_PACED) rf_pace(thread, mine, rf_cycles(), record->flags);
  }
  rf_foreign_give(record);
}

/* Leaves the call as a usual one, which its caller ends. */
static void prepare_own(struct rf_record *record, uint64_t now) {
  rf_calls_close_above(record);
  struct rf_slot *slot = record->slot;
  record->flags &= ~(uint32_t)RF_RECORD_UNWOUND; /* it has returned after all */
  if (record->flags & RF_RECORD_PACED) rf_pace_spend(rf_tls.self, slot, RF_PACE_RARE * rf_pace_probe_cost);
  rf_tls.top = (char *)(record + 1);
  if (!slot || record->flags & RF_RECORD_INHERITED) return;
  uint64_t duration = rf_call_duration(record, now);
  if (!rf_slot_counts(slot, duration))
    rf_with_vectors_saved(rf_slot_make_octave, (uintptr_t)slot, rf_bucket_of(duration).octave);
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

/* ---- tail calls ---- */

static void make_octave_for(struct rf_slot *slot, uint64_t duration) {
  rf_with_vectors_saved(rf_slot_make_octave, (uintptr_t)slot, rf_bucket_of(duration).octave);
}

/* f ended in a jump to another timed function: its time ends here, its record goes on as that function's. */
static inline void begin_in(struct rf_record *record, uint32_t id, uint64_t now, struct rf_slot *slot) {
  uint32_t kept = RF_RECORD_FOREIGN | RF_RECORD_CHECKED; /* rules see the final result */
  record->flags = (record->flags & kept) | rf_call_take_next(slot);
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
                rf_call_plausible(ended, record->flags, record->flags & RF_RECORD_FULL ? 0 : now, duration),
                record->child, rf_weight(record->flags));
    if (!(record->flags & RF_RECORD_FOREIGN)) record[-1].child += duration + rf_probe_cycles.outside;
    rf_call_note_edge(rf_tls.self, record, duration);
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
