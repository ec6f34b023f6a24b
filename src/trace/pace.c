/* See pace.h. */
#include "trace/pace.h"

#include "recording/threads.h"

#define MOST_WEIGHT 0xffffu
#define LONG_BITS 1 /* a root mean square of up to twice the interval is not long */
#define TRUST                                                                                                \
  32 /* timed calls for each that one may stand for: seldom calls are all timed, and no single one decides a \
        sum */
#define LONGEST_INTERVAL (1ull << 36)
#define MOST_WALK_SCALE 20

uint64_t rf_pace_base_interval, rf_pace_probe_cost;
static uint64_t budget_share; /* in 1/65536; 0: no budget */

int rf_pace_active(void) { return budget_share != 0; }

/* One function that is timed at the base interval takes just what the budget has for probes: no interval
 * needs to be shorter. */
static uint64_t interval_for(uint64_t cost, uint64_t share) { return cost * RF_PACE_ONE / share; }

static uint64_t share_of(uint64_t cost, uint64_t elapsed) { return cost * RF_PACE_ONE / elapsed; }

/* A quarter of the budget is for walks: where they take more, each stands for twice as much time, down to
 * what is precise enough. */
static void adjust_walks(struct rf_thread *thread, uint64_t elapsed) {
  uint64_t share = share_of(thread->window_walks, elapsed);
  thread->window_walks = 0;
  if (share > budget_share / 4 && thread->walk_scale < MOST_WALK_SCALE) thread->walk_scale++;
  if (share < budget_share / 16 && thread->walk_scale > 0) thread->walk_scale--;
}

RF_PRESERVE_ALL void rf_pace_adjust(struct rf_thread *thread, uint64_t now) {
  uint64_t elapsed = now - thread->window_start, interval = thread->least_interval;
  if (elapsed > LONGEST_INTERVAL) elapsed = LONGEST_INTERVAL;
  uint64_t share = share_of(thread->window_cost, elapsed), aim = budget_share - budget_share / 4;
  thread->window_start = now;
  thread->window_cost = 0;
  adjust_walks(thread, elapsed);
  if (share > 2 * aim) share = 2 * aim; /* no more than so much at a time, either way */
  if (share < aim / 2) share = aim / 2;
  interval = interval * share / aim;
  if (interval < rf_pace_base_interval) interval = rf_pace_base_interval;
  thread->least_interval = interval < LONGEST_INTERVAL ? interval : LONGEST_INTERVAL;
}

/* Smoothed, since a drawn gap is anything between none and twice its mean. */
static uint64_t spacing_of(struct rf_slot *slot, uint64_t now, uint64_t weight) {
  uint64_t apart = (now - slot->last_exit) / (weight ? weight : 1);
  slot->spacing = slot->spacing ? (7 * slot->spacing + apart) / 8 : apart;
  return slot->spacing ? slot->spacing : 1;
}

static int bits_of(uint64_t value) { return value ? 64 - __builtin_clzll(value) : 0; }

/*
 * Long calls weigh most in every sum and are cheap to time, measured by their length: so the greater a
 * function's root mean square is beside the interval, the more of its calls are timed (as in Neyman's
 * allocation), in powers of two. A function whose calls are mostly short and sometimes very long keeps its
 * totals that way.
 */
static int longness(const struct rf_slot *slot, uint64_t least) {
  int squares = slot->square_high ? 64 + bits_of(slot->square_high) : bits_of(slot->square_low);
  int root = (squares - bits_of(slot->weights)) / 2, surplus = root - bits_of(least) - LONG_BITS;
  return surplus < 0 ? 0 : surplus;
}

RF_PRESERVE_ALL void rf_pace_thin(struct rf_thread *thread, struct rf_slot *slot, uint64_t now,
                                  uint64_t ended) {
  int64_t *countdown = (int64_t *)((uintptr_t)rf_no_countdowns + thread->countdowns) + slot->function;
  bool possible = thread->countdowns && slot->function < rf_countdown_capacity;
  /* An inner call of a recursive function has drawn already; or a gap that an ended thread drew goes on, of
   * which this call, its successor's first, saw nothing. */
  if (slot->next >> RF_RECORD_WEIGHT_SHIFT || (possible && *countdown > 1)) return;
  uint64_t spacing = spacing_of(slot, now, ended), least = thread->least_interval;
  slot->last_exit = now;
  uint64_t wanted = least / spacing, weight = wanted >> longness(slot, least);
  if (weight > slot->durations / TRUST) weight = slot->durations / TRUST;
  if (weight > MOST_WEIGHT) weight = MOST_WEIGHT;
  /* What is timed for other reasons than the interval must not drive the interval up. */
  if (weight < wanted && thread->window_cost >= rf_pace_probe_cost) thread->window_cost -= rf_pace_probe_cost;
  uint32_t flags = slot->next & ((1u << RF_RECORD_WEIGHT_SHIFT) - 1);
  if (weight < 2 || !possible) {
    slot->next = flags;
    return;
  }
  uint64_t gap = rf_pace_draw(thread) * (2 * weight - 1) >> 32; /* 0 to 2 weight - 2, mean weight - 1 */
  /* Drawing, and the jump at the gap's end that no processor foresees, take somewhat more than the probe
   * itself (measured). */
  thread->window_cost += rf_pace_probe_cost + rf_pace_probe_cost / 4;
  thread->thinning = true;
  slot->next = flags | (uint32_t)weight << RF_RECORD_WEIGHT_SHIFT;
  slot->counted += gap;
  *countdown = (int64_t)gap + 1; /* the stub goes on to the entry when it gets to 0 */
}

void rf_pace_start(uint32_t share, uint64_t probe_cost) {
  budget_share = share;
  if (!budget_share) return;
  rf_pace_probe_cost = probe_cost;
  rf_pace_base_interval = interval_for(probe_cost, budget_share - budget_share / 4);
}
