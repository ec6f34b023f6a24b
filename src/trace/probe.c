/*
 * See probe.h. Several short batches; the faster half of them counts, since interruptions can only make one
 * longer, and its mean, not its best, since some machines' counters advance in steps of 10 ns.
 */
#include "trace/probe.h"

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/memory.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/call.h"
#include "trace/full.h"

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

struct batch {
  uint64_t whole, inside;
};

/* Keeps the batches sorted by their whole time. */
static void insert(struct batch *batches, int count, struct batch fresh) {
  while (count > 0 && batches[count - 1].whole > fresh.whole) {
    batches[count] = batches[count - 1];
    count--;
  }
  batches[count] = fresh;
}

typedef void probe_call(void);

static void run_batches(const struct rf_slot *slot, uint64_t clock, probe_call *call, struct batch *batches) {
  for (int i = 0; i < BATCHES; i++) {
    uint64_t sum = slot->sum, start = rf_cycles();
    for (int k = 0; k < BATCH; k++) call();
    uint64_t whole = rf_cycles() - start;
    insert(batches, i, (struct batch){whole > clock ? whole - clock : 0, slot->sum - sum});
  }
}

/* Borrows function id 0 for a while. */
static void run_as_function(struct rf_thread *thread, struct rf_slot *slot, uint64_t clock, probe_call *call,
                            struct batch *batches) {
  uintptr_t body = rf_sites[0].body;
  rf_sites[0].body = (uintptr_t)rf_probe_body;
  thread->slots[0] = slot;
  uint32_t internal = rf_tls.internal;
  rf_calls_set_function_count(1);
  rf_tls.internal = 0; /* else the calls would pass through */
  run_batches(slot, clock, call, batches);
  rf_tls.internal = internal;
  rf_calls_set_function_count(0);
  thread->slots[0] = NULL;
  rf_sites[0].body = body;
}

static struct rf_probe_cost measure(probe_call *call, struct rf_slot *slot) {
  struct batch batches[BATCHES];
  struct rf_probe_cost cost = {.clock = clock_cost()};
  struct rf_thread *thread = rf_thread_get();
  if (!thread || !prepare_slot(slot)) return cost;
  run_as_function(thread, slot, cost.clock, call, batches);
  uint64_t whole = 0, inside = 0;
  for (int i = 0; i < BATCHES / 2; i++) whole += batches[i].whole, inside += batches[i].inside;
  cost.inside = (uint32_t)(inside / (BATCH * BATCHES / 2));
  cost.outside = whole > inside ? (uint32_t)((whole - inside) / (BATCH * BATCHES / 2)) : 0;
  return cost;
}

struct rf_probe_cost rf_probe_measure(bool plain) {
  static struct rf_slot slot;
  slot.next = plain ? 0 : RF_RECORD_RECURSIVE; /* a flag that asks for nothing, so that rf_exit() is taken */
  return measure(rf_probe_call, &slot);
}

struct rf_probe_checked rf_probe_measure_checked(const void *checker) {
  struct rf_slot slot = {0};
  struct rf_full full = {.mode = RF_CLOCK_PERF_COUNTER, .every_call = true, .checker = checker};
  void *extra = rf_sites[0].extra;
  rf_sites[0].extra = &full;
  struct rf_probe_cost cost = measure(rf_probe_call_checked, &slot);
  rf_sites[0].extra = extra;
  return (struct rf_probe_checked){.whole = cost.inside + cost.outside,
                                   .noted = (uint32_t)(slot.rules_cycles / (BATCH * BATCHES))};
}
