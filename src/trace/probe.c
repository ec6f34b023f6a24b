/* See probe.h. The best of several short batches: interruptions can only make one longer. */
#include "trace/probe.h"

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/memory.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/call.h"

#define BATCH 64
#define BATCHES 12

static uint32_t clock_cost(void) {
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < BATCHES; i++) {
    uint64_t start = rf_cycles();
    for (int k = 0; k < BATCH; k++) rf_cycles();
    uint64_t spent = rf_cycles() - start;
    if (spent < best) best = spent;
  }
  return (uint32_t)(best / (BATCH + 1));
}

/* One block of counters for every octave: where durations land does not matter here. */
static bool prepare_slot(struct rf_slot *slot) {
  void *counters = rf_recording_alloc(RF_SUBBUCKETS * sizeof(uint64_t));
  if (!counters) return false;
  slot->min = UINT64_MAX;
  for (uint32_t i = 0; i < RF_OCTAVES; i++) slot->octave[i] = rf_recording_ref(counters);
  return true;
}

struct rf_probe_cost rf_probe_measure(void) {
  static struct rf_slot slot;
  struct rf_probe_cost cost = {.clock = clock_cost()};
  struct rf_thread *thread = rf_thread_get();
  if (!thread || !prepare_slot(&slot)) return cost;
  uintptr_t body = rf_sites[0].body;
  rf_sites[0].body = (uintptr_t)rf_probe_body;
  thread->slots[0] = &slot;
  rf_calls_set_function_count(1);
  uint64_t best_whole = UINT64_MAX, best_inside = UINT64_MAX;
  for (int i = 0; i < BATCHES; i++) {
    uint64_t sum = slot.sum, start = rf_cycles();
    for (int k = 0; k < BATCH; k++) rf_probe_call();
    uint64_t whole = rf_cycles() - start - cost.clock;
    if (whole < best_whole) best_whole = whole;
    if (slot.sum - sum < best_inside) best_inside = slot.sum - sum;
  }
  rf_calls_set_function_count(0);
  thread->slots[0] = NULL;
  rf_sites[0].body = body;
  cost.inside = (uint32_t)(best_inside / BATCH);
  cost.outside = best_whole > best_inside ? (uint32_t)((best_whole - best_inside) / BATCH) : 0;
  return cost;
}
