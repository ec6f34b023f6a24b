/*
 * Counting violations, and keeping examples of the first ones with stack and value. The counting is one
 * atomic add; the rest, five times a rule, runs on a stack of Refunc's own with the app's vector registers
 * saved.
 */
#include "arch/arch.h"
#include "arch/entry.h"
#include "base/signals.h"
#include "base/thread.h"
#include "recording/writer.h"
#include "unwind/unwind.h"
#include "validate/checker.h"

#define TEXT_BYTES 120u

static rf_violation_abort *end_process;

void rf_violation_set_abort(rf_violation_abort *function) { end_process = function; }

static struct rf_recorded_number recorded(const struct rf_number *n) {
  return (struct rf_recorded_number){.bits = n->bits, .exponent = n->exponent, .kind = n->kind, .known = 1};
}

static void record_stack(struct rf_violation_example *example) {
  uintptr_t frames[RF_CALL_DEPTH];
  bool truncated;
  example->depth = (uint32_t)rf_unwind_here(NULL, frames, RF_CALL_DEPTH, &truncated);
  for (uint32_t i = 0; i < example->depth; i++) example->stack[i] = frames[i];
}

static rf_ref record_text(const struct rf_finding *finding) {
  uint64_t length = finding->index < TEXT_BYTES ? finding->index : TEXT_BYTES;
  return rf_recording_string((const char *)finding->address, length);
}

static void fill_example(struct rf_violation_entry *entry, uint32_t place, const struct rf_finding *finding) {
  struct rf_violation_example *example = rf_recording_alloc(sizeof *example);
  if (!example) return;
  example->cycles = rf_cycles();
  example->tid = rf_tls.self ? rf_tls.self->tid : 0;
  example->flags = finding->flags;
  example->value = recorded(&finding->value);
  example->value.known = !(finding->flags & (RF_FINDING_UNREADABLE | RF_FINDING_ENDLESS | RF_FINDING_TEXT));
  example->index = finding->index;
  example->address = finding->address;
  if (finding->flags & RF_FINDING_TEXT) example->text = record_text(finding);
  if (finding->flags & RF_FINDING_MESSAGE) example->text = rf_recording_text(finding->message);
  record_stack(example);
  __atomic_store_n(&entry->example[place], rf_recording_ref(example), __ATOMIC_RELEASE);
}

struct example {
  struct rf_violation_entry *entry;
  uint32_t place;
  const struct rf_finding *finding;
};

static void fill(struct example *e) { fill_example(e->entry, e->place, e->finding); }

static void fill_saved(struct example *e) {
  uint64_t mask = rf_signals_block();
  rf_tls.internal++;
  rf_with_vectors_saved(fill, (uintptr_t)e, 0);
  rf_tls.internal--;
  rf_signals_restore(mask);
}

void rf_violation_note(const struct rf_checker *checker, const struct rf_check *check,
                       const struct rf_finding *finding) {
  struct rf_violation_entry *entry = check->entry;
  (void)checker;
  if (!entry) return;
  __atomic_fetch_add(&entry->count, 1, __ATOMIC_RELAXED);
  if (__atomic_load_n(&entry->claimed, __ATOMIC_RELAXED) >= RF_EXAMPLES) return;
  uint32_t place = __atomic_fetch_add(&entry->claimed, 1, __ATOMIC_RELAXED);
  struct example e = {entry, place, finding};
  if (place < RF_EXAMPLES) rf_preserved_on_own_stack((uintptr_t)&e, 0, 0, fill_saved);
}

void rf_violation_unchecked(const struct rf_check *check) {
  if (check->entry) __atomic_fetch_add(&check->entry->unchecked, 1, __ATOMIC_RELAXED);
}

/* ---- reactions ---- */

struct callback {
  const struct rf_checker *checker;
  struct rf_violation_info info;
};

static void call_back(struct callback *c) {
  uint32_t environment = rf_float_reset();
  c->checker->callback(&c->info);
  rf_float_restore(environment);
}

static void call_back_saved(struct callback *c) {
  rf_tls.internal++;
  rf_with_vectors_saved(call_back, (uintptr_t)c, 0);
  rf_tls.internal--;
}

void rf_violation_callback_run(const struct rf_checker *checker, const struct rf_check *check,
                               const struct rf_finding *finding) {
  struct callback c = {checker,
                       {.size = sizeof c.info,
                        .function = checker->function,
                        .parameter = check->parameter,
                        .rule = check->rule,
                        .kind = finding->value.kind,
                        .integer = (int64_t)finding->value.bits,
                        .index = finding->index,
                        .address = (const void *)finding->address,
                        .message = finding->flags & RF_FINDING_MESSAGE ? finding->message : ""}};
  char *real = (char *)&c.info.real; /* by bytes: no vector register */
  for (int i = 0; finding->value.kind == RF_NUMBER_DOUBLE && i < 8; i++)
    real[i] = ((const char *)&finding->value.bits)[i];
  rf_preserved_on_own_stack((uintptr_t)&c, 0, 0, call_back_saved);
}

static void end_saved(void) {
  rf_tls.internal++;
  if (end_process) end_process();
  rf_tls.internal--;
}

void rf_violation_end_process(void) { rf_preserved_on_own_stack(0, 0, 0, end_saved); }
