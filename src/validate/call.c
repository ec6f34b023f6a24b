/*
 * What happens at a call of a function with rules, spans or keep: behind the assembly of src/arch, on the
 * app's stack.
 *
 *   rf_checked_enter   rules on entry ─▶ verdict (run, or return something else) ─▶ arguments kept for later ─▶ clock
 *   rf_checked_exit    clock ─▶ for each function that the record stands for, the last first (a tail call hands its
 *                               record on): rules on return, spans, keep ─▶ verdict
 *
 * The time that looking at results takes is taken out of the call's duration.
 */
#include <errno.h>

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/thread.h"
#include "recording/writer.h"
#include "trace/full.h"
#include "trace/records.h"
#include "validate/checker.h"
#include "validate/cost.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
/* Functions that one record can stand for, in a chain of tail calls; more go unchecked on return. */
#define MOST_PENDING 3u
#define STACK_WORDS 8u

/* One function that waits for the result, with its arguments. */
struct pending {
  const struct rf_checker *checker;
  uint64_t start;
  uint64_t integer[6], vector[8], stack[STACK_WORDS];
};

/* Valid while the record is flagged RF_RECORD_CHECKED. */
struct waiting {
  uint64_t count;
  struct pending pending[MOST_PENDING];
};
_Static_assert(sizeof(struct waiting) <= RF_PENDING_BYTES, "records.h keeps room for them");

struct looking {
  const struct rf_checker *checker;
  const struct rf_check *first; /* the first violated one */
  struct rf_finding finding;
};

static void found(void *user, const struct rf_check *check, const struct rf_finding *finding) {
  struct looking *looking = user;
  if (!finding) {
    rf_violation_unchecked(check);
    return;
  }
  rf_violation_note(looking->checker, check, finding);
  if (looking->checker->reaction == RF_REACT_CALL)
    rf_violation_callback_run(looking->checker, check, finding);
  if (!looking->first) looking->first = check;
}

static void give_result(const struct rf_substitute *substitute, struct rf_saved_call *saved) {
  saved->verdict = substitute->verdict;
  saved->result[0] = substitute->bits[0];
  saved->vector_result[0] = substitute->bits[0];
  saved->extended_result[0] = substitute->bits[0];
  saved->extended_result[1] = substitute->bits[1];
  if (substitute->error) errno = substitute->error;
}

static void react(const struct rf_checker *checker, struct rf_saved_call *saved) {
  if (checker->reaction == RF_REACT_ABORT) rf_violation_end_process();
  if (checker->reaction == RF_REACT_RETURN) give_result(&checker->substitute, saved);
}

static inline uint64_t violated(const struct rf_checker *checker, bool on_return,
                                const struct rf_call *call) {
  struct looking looking; /* not filled with zeros: that alone would take longer than a rule */
  const struct rf_check *check = on_return ? checker->on_return : checker->on_entry;
  uint32_t count = on_return ? checker->return_count : checker->entry_count;
  looking.checker = checker;
  looking.first = NULL;
  return count ? rf_checks_run(check, count, call, found, &looking) : 0;
}

/* ---- spans ---- */

static void touch_span(const struct rf_span_point *point, const struct rf_call *call, uint64_t now) {
  struct rf_number key;
  struct rf_finding finding;
  uintptr_t bad;
  if (point->has_condition && rf_check_run(&point->condition, call, &finding) != RF_GOOD) return;
  if (rf_scalar_read(&point->key, call, &key, &bad) != RF_GOOD)
    rf_span_drop(point->span);
  else if (point->begin)
    rf_span_begin(point->span, key.bits, now);
  else
    rf_span_end(point->span, key.bits, now);
}

static void touch_spans(const struct rf_checker *checker, bool on_return, const struct rf_call *call,
                        uint64_t now) {
  for (uint32_t i = 0; i < checker->point_count; i++)
    if (checker->points[i].on_return == on_return) touch_span(&checker->points[i], call, now);
}

/* ---- entry ---- */

/* The first calls of a function are passed over, if so configured. */
static inline bool passed_over(const struct rf_checker *checker) {
  uint64_t *seen = (uint64_t *)&checker->seen;
  if (LIKELY(!checker->after)) return false;
  if (__atomic_load_n(seen, __ATOMIC_RELAXED) >= checker->after) return false;
  return __atomic_fetch_add(seen, 1, __ATOMIC_RELAXED) < checker->after;
}

/* Where the time of calls goes that are passed over: nobody reads it. */
static struct rf_slot nowhere;

void rf_passed_over_start(void) {
  rf_ref counters = rf_recording_ref(rf_recording_alloc(RF_SUBBUCKETS * sizeof(uint64_t)));
  for (uint32_t i = 0; i < RF_OCTAVES; i++) nowhere.octave[i] = counters;
}

/* The call is counted, and that is all. On other stacks than the thread's own its record gives up its slot.
 */
static void pass_over(struct rf_record *record) {
  record->slot->depth--;
  record->slot = record->flags & RF_RECORD_FOREIGN ? NULL : &nowhere;
  if (!record->slot) record->flags |= RF_RECORD_INHERITED;
  record->start = rf_cycles();
}

/* Where the start is to be noted, which is known last of all; NULL: nothing waits. */
static struct pending *wait_for_result(const struct rf_checker *checker, struct rf_record *record,
                                       const struct rf_call *call) {
  struct waiting *waiting = rf_record_pending(record);
  if (waiting && !(record->flags & RF_RECORD_CHECKED)) waiting->count = 0;
  if (!waiting || waiting->count == MOST_PENDING) {
    for (uint32_t i = 0; i < checker->return_count; i++) rf_violation_unchecked(&checker->on_return[i]);
    return NULL;
  }
  struct pending *pending = &waiting->pending[waiting->count];
  pending->checker = checker;
  for (int i = 0; i < 6; i++) pending->integer[i] = call->saved->integer[i];
  for (int i = 0; i < 8; i++) pending->vector[i] = call->saved->vector[i];
  for (uint32_t i = 0; i < checker->stack_words; i++) pending->stack[i] = ((const uint64_t *)call->stack)[i];
  waiting->count++;
  record->flags |= RF_RECORD_CHECKED;
  return pending;
}

RF_PRESERVE_ALL void rf_checked_enter(struct rf_record *record, struct rf_saved_call *saved) {
  const struct rf_checker *checker = rf_full_checker(record->id);
  struct rf_call call = {saved, record->position + sizeof(uintptr_t)};
  struct pending *pending = NULL;
  saved->verdict = RF_VERDICT_RUN;
  if (checker && !rf_tls.internal && passed_over(checker)) {
    pass_over(record);
    return;
  }
  uint64_t began = rf_cost_begin(record->slot);
  if (LIKELY(checker && !rf_tls.internal)) {
    if (__builtin_expect(violated(checker, false, &call) != 0, 0)) react(checker, saved);
    bool runs = saved->verdict == RF_VERDICT_RUN;
    if (runs && checker->needs_return) pending = wait_for_result(checker, record, &call);
    if (runs && checker->point_count) touch_spans(checker, false, &call, rf_cycles());
  }
  if (began) rf_cost_end(record, began, rf_cycles());
  if (LIKELY(rf_full_is_clock_alone(record->id)))
    record->start = rf_cycles();
  else
    rf_full_enter(record);
  if (pending) pending->start = record->start;
}

/* ---- return ---- */

static void look_at_result(const struct pending *pending, struct rf_record *record,
                           struct rf_saved_call *saved, uint64_t now, uint64_t end) {
  const struct rf_checker *checker = pending->checker;
  for (int i = 0; i < 6; i++) saved->integer[i] = pending->integer[i];
  for (int i = 0; i < 8; i++) saved->vector[i] = pending->vector[i];
  struct rf_call call = {saved, checker->stack_words ? (uintptr_t)pending->stack
                                                     : record->position + sizeof(uintptr_t)};
  touch_spans(checker, true, &call, now);
  if (violated(checker, true, &call)) react(checker, saved);
  uint64_t duration = end > pending->start ? end - pending->start : 0;
  if (checker->keep.entry && duration > checker->keep.threshold) rf_keep_offer(checker, duration, now, &call);
}

RF_PRESERVE_ALL void rf_checked_exit(struct rf_record *record, struct rf_saved_call *saved) {
  bool ours = !(record->flags & RF_RECORD_INHERITED) && !rf_tls.internal;
  uint64_t now = rf_cycles(), end = rf_full_clock(record->id, now);
  struct waiting *waiting = rf_record_pending(record);
  saved->verdict = RF_VERDICT_RUN;
  for (uint64_t i = waiting ? waiting->count : 0; i-- && ours;)
    look_at_result(&waiting->pending[i], record, saved, now, end);
  record->flags &= ~(uint32_t)RF_RECORD_CHECKED;
  uint64_t done = rf_cycles();
  if (ours && record->slot) rf_cost_add_return(record, done - now);
  record->start += rf_full_clock(record->id, done) - end;
}
