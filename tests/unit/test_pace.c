/*
 * timing.budget in invented time: what pace.h makes of calls whose durations are known, without a processor
 * that others use, too. call() is what stub, entry and exit do. Each case runs with several seeds, since the
 * draws are random: one run may be off by what its own interval says, all of them together by much less.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "base/moments.h"
#include "recording/threads.h"
#include "trace/account.h"
#include "trace/pace.h"

#define CYCLES_PER_S 2500000000ull
#define MS (CYCLES_PER_S / 1000)
#define US (CYCLES_PER_S / 1000000)
#define TICK (CYCLES_PER_S / 10)
#define PROBE 60
#define FUNCTIONS 2
#define SEEDS 12

char *rf_trace_base;
uint32_t rf_countdown_capacity;
int64_t *rf_no_countdowns;
struct rf_probe_cycles rf_probe_cycles = {.inside = 20, .outside = 40, .counting = 4};

static struct rf_thread thread;
static struct rf_slot slots[FUNCTIONS];
static struct rf_slot *table[FUNCTIONS];
static int64_t countdowns[FUNCTIONS], none[FUNCTIONS];
static uint64_t now, next_tick, probes, probes_of[FUNCTIONS], state;

static struct truth {
  uint64_t calls;
  double sum;
} truth[FUNCTIONS];

static double draw(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (double)(state >> 11) * 0x1p-53;
}

static uint64_t around(double mean) { return (uint64_t)(-mean * log(1 - draw())) + 1; }

static void begin(uint64_t seed, double budget) {
  thread = (struct rf_thread){.random = seed * 0x9e3779b97f4a7c15u, .slot_room = FUNCTIONS, .slots = table};
  memset(slots, 0, sizeof slots);
  memset(countdowns, 0, sizeof countdowns);
  memset(truth, 0, sizeof truth);
  for (uint32_t i = 0; i < FUNCTIONS; i++) {
    slots[i] = (struct rf_slot){.function = i, .min = UINT64_MAX, .next = RF_RECORD_PACED};
    table[i] = &slots[i];
  }
  rf_no_countdowns = none;
  rf_countdown_capacity = FUNCTIONS;
  thread.own_countdowns = (uintptr_t)countdowns - (uintptr_t)none;
  now = 1ull << 40;
  next_tick = now + TICK;
  probes = 0;
  memset(probes_of, 0, sizeof probes_of);
  state = seed;
  rf_pace_start((uint32_t)(budget * RF_PACE_ONE), 0, PROBE);
}

/* Whether the stub lets it pass, merely counted; at ticks of the sampler there is no countdown to find. */
static bool passes(uint32_t id) {
  if (now < next_tick) return --countdowns[id] > 0;
  next_tick = now + TICK;
  rf_pace_look(&thread, id, FUNCTIONS, now);
  return false;
}

static void call(uint32_t id, uint64_t cycles) {
  struct rf_slot *slot = &slots[id];
  truth[id].calls++;
  truth[id].sum += (double)cycles;
  now += rf_probe_cycles.counting;
  if (passes(id)) {
    now += cycles;
    return;
  }
  uint32_t flags = slot->next;
  slot->next &= (1u << RF_RECORD_WEIGHT_SHIFT) - 1;
  slot->entered++;
  slot->depth++;
  probes++;
  probes_of[id]++;
  now += rf_probe_cycles.inside + cycles;
  uint64_t duration = rf_probe_cycles.inside + cycles, weight = rf_weight(flags);
  uint64_t plausible = weight == 1 ? duration : rf_pace_plausible(slot, now, duration, weight);
  rf_slot_add(slot, duration, plausible, 0, weight);
  rf_pace(&thread, slot, now, flags);
  now += rf_probe_cycles.outside;
}

static double total(uint32_t id) {
  const struct rf_slot *slot = &slots[id];
  double calls = (double)truth[id].calls, weights = (double)slot->weights;
  return calls / weights * ((double)rf_slot_sum(slot) - (double)rf_probe_cycles.inside * weights);
}

/* Relative, as in the report. */
static double interval95(uint32_t id) {
  const struct rf_slot *slot = &slots[id];
  double weights = (double)slot->weights, effective = weights * weights / (double)slot->weight_squares;
  double square = (double)rf_squared_deviations(slot->weights, rf_slot_sum(slot), rf_slot_squares(slot));
  double mean = (double)rf_slot_sum(slot) / weights - (double)rf_probe_cycles.inside;
  return 1.96 * sqrt(square / (weights - 1) / effective) / mean;
}

static void counts_are_exact(uint32_t id) {
  uint64_t to_come = countdowns[id] > 1 ? (uint64_t)countdowns[id] - 1 : 0;
  cr_assert_eq(slots[id].entered + slots[id].counted - to_come, truth[id].calls);
}

/* Of many runs: all calls counted, the mean error next to nothing, single ones mostly within their intervals.
 */
static void unbiased(void (*program)(void), double budget, double tolerance) {
  double sum = 0;
  int outside = 0;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    begin(seed, budget);
    program();
    counts_are_exact(0);
    double error = total(0) / truth[0].sum - 1;
    sum += error;
    outside += fabs(error) > interval95(0);
    cr_assert_lt(fabs(error), 2.5 * interval95(0), "seed %lu: %g", (unsigned long)seed, error);
  }
  cr_assert_lt(fabs(sum / SEEDS), tolerance, "mean error %g", sum / SEEDS);
  cr_assert_leq(outside, 3);
}

static void steady(void) {
  for (int i = 0; i < 300000; i++) call(0, around(100));
}
static void by_position(void) {
  for (int i = 0; i < 300000; i++) call(0, i % 100 < 40 ? 20 : 400);
}
static void by_the_one_before(void) {
  for (uint64_t i = 0, cycles = 20; i < 300000; i++) {
    cycles = cycles > 300 ? 20 : cycles * 2 + i % 7;
    call(0, cycles);
  }
}
static void of_two_callers(void) {
  for (int i = 0; i < 300000; i++) call(0, i & 1 ? 20 : 600), call(1, 100);
}
static void bursts(void) {
  for (int i = 0; i < 300000; i++) {
    call(0, i % 1000 < 10 ? 3000 : 30);
    if (i % 1000 == 999) now += 10 * MS;
  }
}

Test(pace, steady) { unbiased(steady, 0.05, 0.01); }
Test(pace, durations_by_position) { unbiased(by_position, 0.05, 0.01); }
Test(pace, durations_by_the_one_before) { unbiased(by_the_one_before, 0.05, 0.01); }
Test(pace, alternating_callers) { unbiased(of_two_callers, 0.05, 0.01); }
Test(pace, bursts) { unbiased(bursts, 0.05, 0.03); }

/* A gap that was drawn for calls of 10 cycles ends when calls come once a second. */
Test(pace, often_then_seldom) {
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    begin(seed, 0.05);
    for (int i = 0; i < 300000; i++) call(0, 10);
    for (int i = 0; i < 60; i++) call(0, 5 * MS), now += CYCLES_PER_S;
    counts_are_exact(0);
    cr_assert_float_eq(total(0) / truth[0].sum, 1, 0.06, "seed %lu: %g", (unsigned long)seed,
                       total(0) / truth[0].sum);
  }
}

/* Where another function is timed meanwhile, it does not take a tick. */
Test(pace, often_then_seldom_beside_another) {
  begin(1, 0.05);
  for (int i = 0; i < 300000; i++) call(0, 10);
  next_tick = UINT64_MAX;
  for (int i = 0; i < 60; i++) {
    for (int k = 0; k < 50; k++) call(1, 20 * US);
    call(0, 5 * MS);
  }
  cr_assert_float_eq(total(0) / truth[0].sum, 1, 0.1, "%g", total(0) / truth[0].sum);
}

/* Seldom, then often: it is thinned, and stays within the budget. */
Test(pace, seldom_then_often) {
  begin(1, 0.05);
  for (int i = 0; i < 60; i++) call(0, 1000), now += CYCLES_PER_S / 5;
  uint64_t start = now, before = probes;
  for (int i = 0; i < 3000000; i++) call(0, 10);
  double share = (double)((probes - before) * PROBE) / (double)(now - start);
  cr_assert_lt(share, 0.05, "%g of the time", share);
  cr_assert_gt(share, 0.005, "%g of the time", share);
}

/* Timing the first calls lengthens no interval, which would not make them fewer. */
Test(pace, first_calls_lengthen_no_interval) {
  begin(1, 0.001);
  for (int i = 0; i < 1000000; i++) call(0, 10);
  cr_assert_lt(thread.least_interval, 4 * rf_pace_base_interval);
}

/* ---- budgets of single functions ---- */

/* As call.c does for a function that has one; 0: timing.budget holds for it. */
static void begin_with_own(uint64_t seed, double budget, double first, double second) {
  const double own[FUNCTIONS] = {first, second};
  begin(seed, budget);
  rf_pace_start((uint32_t)(budget * RF_PACE_ONE), (uint32_t)(fmax(first, second) * RF_PACE_ONE), PROBE);
  for (uint32_t i = 0; i < FUNCTIONS; i++)
    if (rf_pace_thins((uint32_t)(own[i] * RF_PACE_ONE)))
      rf_pace_begin(&slots[i], (uint32_t)(own[i] * RF_PACE_ONE));
    else
      slots[i].next = 0; /* no budget at all: no countdown, every call timed */
}

static double share_of_probes(uint32_t id, uint64_t start) {
  return (double)(probes_of[id] * PROBE) / (double)(now - start);
}

static void both(int rounds) {
  for (int i = 0; i < rounds; i++) call(0, around(100)), call(1, around(100));
}

/* One at 1%, one at 50% beside it, whatever the common budget is: each keeps its own, and uses it. */
Test(pace, each_keeps_its_own_budget) {
  static const double common[] = {0.001, 0.05, 0.5};
  for (int i = 0; i < 3; i++) {
    begin_with_own(1, common[i], 0.01, 0.5);
    both(200000);
    uint64_t start = now;
    probes_of[0] = probes_of[1] = 0;
    both(1000000);
    double least = share_of_probes(0, start), most = share_of_probes(1, start);
    cr_assert(least > 0.002 && least < 0.01, "1%%: %g of the time, beside %g", least, common[i]);
    cr_assert(most > 0.1 && most < 0.5, "50%%: %g of the time, beside %g", most, common[i]);
  }
}

/* What a function with a budget of its own takes is no part of the common one: the other is timed as if
 * alone. */
Test(pace, an_own_budget_is_no_part_of_the_common_one) {
  begin_with_own(1, 0.05, 0, 0);
  for (int i = 0; i < 1000000; i++) call(0, 100), now += 130;
  double alone = share_of_probes(0, 1ull << 40);
  uint64_t interval = thread.least_interval;
  begin_with_own(1, 0.05, 0, 0.5);
  for (int i = 0; i < 1000000; i++) call(0, 100), call(1, 100);
  double beside = share_of_probes(0, 1ull << 40);
  cr_assert_gt(beside, 0.7 * alone, "%g of the time, alone %g", beside, alone);
  cr_assert_lt(thread.least_interval, interval + interval / 2);
}

/* Without timing.budget only the one that has a budget is thinned. */
Test(pace, a_budget_of_one_function_alone) {
  begin_with_own(1, 0, 0.01, 0);
  rf_countdown_capacity = 1;
  both(300000);
  counts_are_exact(0);
  cr_assert_lt(probes_of[0], truth[0].calls / 10);
  cr_assert_eq(probes_of[1], truth[1].calls);
  cr_assert_eq(thread.walk_scale, 0);
}

/* Each call's chance to be timed is one over the weight that it then has, whatever came before: sums stay
 * unbiased. */
static void own_unbiased(void (*program)(void), double own) {
  double sum = 0;
  int outside = 0;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    begin_with_own(seed, 0.05, own, 0);
    program();
    counts_are_exact(0);
    cr_assert_lt(probes_of[0], truth[0].calls * 2 / 3);
    double error = total(0) / truth[0].sum - 1;
    sum += error;
    outside += fabs(error) > interval95(0);
    cr_assert_lt(fabs(error), 2.5 * interval95(0), "seed %lu: %g", (unsigned long)seed, error);
  }
  cr_assert_lt(fabs(sum / SEEDS), 0.01, "mean error %g", sum / SEEDS);
  cr_assert_leq(outside, 3);
}

Test(pace, own_budget_steady) { own_unbiased(steady, 0.1); }
Test(pace, own_budget_by_position) { own_unbiased(by_position, 0.1); }
Test(pace, own_budget_by_the_one_before) { own_unbiased(by_the_one_before, 0.1); }
Test(pace, own_budget_of_two_callers) { own_unbiased(of_two_callers, 0.1); }

Test(pace, own_budget_often_then_seldom) {
  begin_with_own(1, 0.05, 0.01, 0);
  for (int i = 0; i < 300000; i++) call(0, 10);
  for (int i = 0; i < 60; i++) call(0, 5 * MS), now += CYCLES_PER_S;
  counts_are_exact(0);
  cr_assert_float_eq(total(0) / truth[0].sum, 1, 0.06, "%g", total(0) / truth[0].sum);
}
