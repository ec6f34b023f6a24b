/* "keep: slow > 10ms": the slowest calls of a function with arguments and stack. Only slow calls come here.
 * Compiled with general registers only. */
#include "arch/arch.h"
#include "arch/entry.h"
#include "base/lock.h"
#include "base/signals.h"
#include "base/thread.h"
#include "recording/writer.h"
#include "unwind/unwind.h"
#include "validate/checker.h"

static struct rf_lock lock; /* taken with signals blocked, on a stack of Refunc's own */

struct offer {
  const struct rf_checker *checker;
  uint64_t duration, now;
  const struct rf_call *call;
};

/* The place of the shortest call kept, if this one is longer. */
static struct rf_kept_call *place_for(struct rf_kept_call *calls, uint64_t duration) {
  struct rf_kept_call *least = calls;
  for (uint32_t i = 1; i < RF_KEPT_CALLS; i++)
    if (calls[i].duration < least->duration) least = &calls[i];
  return least->duration < duration ? least : NULL;
}

static void fill_stack(struct rf_kept_call *kept) {
  uintptr_t frames[RF_CALL_DEPTH];
  bool truncated;
  kept->depth = (uint32_t)rf_unwind_here(NULL, frames, RF_CALL_DEPTH, &truncated);
  for (uint32_t i = 0; i < kept->depth; i++) kept->stack[i] = frames[i];
}

static void fill_arguments(struct rf_kept_call *kept, const struct offer *offer) {
  const struct rf_keep *keep = &offer->checker->keep;
  for (uint32_t i = 0; i < keep->arguments; i++) {
    struct rf_number n;
    uintptr_t bad;
    bool known = rf_scalar_read(&keep->argument[i], offer->call, &n, &bad) == RF_GOOD;
    kept->argument[i] =
        (struct rf_recorded_number){.bits = n.bits, .exponent = n.exponent, .kind = n.kind, .known = known};
    if (!known) kept->argument[i] = (struct rf_recorded_number){0};
  }
}

static void keep_locked(struct offer *offer) {
  struct rf_kept_entry *entry = offer->checker->keep.entry;
  if (!entry->calls)
    entry->calls = rf_recording_ref(rf_recording_alloc(RF_KEPT_CALLS * sizeof(struct rf_kept_call)));
  struct rf_kept_call *calls = rf_recording_at(entry->calls),
                      *kept = calls ? place_for(calls, offer->duration) : NULL;
  if (!kept) return;
  kept->duration = 0;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  kept->cycles = offer->now;
  kept->tid = rf_tls.self ? rf_tls.self->tid : 0;
  fill_arguments(kept, offer);
  fill_stack(kept);
  __atomic_store_n(&kept->duration, offer->duration, __ATOMIC_RELEASE);
}

static void keep_saved(struct offer *offer) {
  uint64_t mask = rf_signals_block();
  rf_tls.internal++;
  rf_lock_take(&lock);
  rf_with_vectors_saved(keep_locked, (uintptr_t)offer, 0);
  rf_lock_give(&lock);
  rf_tls.internal--;
  rf_signals_restore(mask);
}

void rf_keep_offer(const struct rf_checker *checker, uint64_t duration, uint64_t now,
                   const struct rf_call *call) {
  struct offer offer = {checker, duration, now, call};
  __atomic_fetch_add(&checker->keep.entry->seen, 1, __ATOMIC_RELAXED);
  rf_preserved_on_own_stack((uintptr_t)&offer, 0, 0, keep_saved);
}
