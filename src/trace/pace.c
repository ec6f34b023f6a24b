/* See pace.h. */
#include "trace/pace.h"

#include "recording/threads.h"
#include "trace/account.h"

#define MOST_WEIGHT 0xffffu
#define LONG_BITS 1 /* a root mean square of up to twice the interval is not long */
/* Timed calls for each that one may stand for: seldom calls are all timed, and no single one decides a
 * sum. */
#define TRUST 32
#define LONGEST_INTERVAL (1ull << 36)
#define LOOKS 16
#define LOOK_COST 4 /* cycles a function, those that have no gap included */
#define STALE 32    /* times a gap's mean without a timed call: by chance once in e^32 gaps */
#define MOST_WALK_SCALE 20
#define FRACTION 16 /* bits behind the point of a drawn number */

uint64_t rf_pace_base_interval, rf_pace_probe_cost;
static uint64_t budget_share; /* timing.budget, in 1/65536; 0: there is none */
static uint64_t walk_share;   /* of a thread's time, for walks: a quarter of the budget */
static bool active;

int rf_pace_active(void) { return active; }

bool rf_pace_thins(uint32_t own_share) { return active && (own_share || budget_share); }

void rf_pace_begin(struct rf_slot *slot, uint32_t own_share) {
  slot->own_share = own_share;
  slot->next = own_share ? RF_RECORD_PACED | RF_RECORD_OWN : RF_RECORD_PACED;
}

/* One function that is timed at the base interval takes just what the budget has for probes: no interval
 * needs to be shorter. */
static uint64_t interval_for(uint64_t cost, uint64_t share) { return cost * RF_PACE_ONE / share; }

static uint64_t share_of(uint64_t cost, uint64_t elapsed) { return cost * RF_PACE_ONE / elapsed; }

/* Where walks take more than their share, each stands for twice as much time, down to what is precise enough.
 */
static void adjust_walks(struct rf_thread *thread, uint64_t elapsed) {
  uint64_t share = share_of(thread->window_walks, elapsed);
  thread->window_walks = 0;
  if (share > walk_share && thread->walk_scale < MOST_WALK_SCALE) thread->walk_scale++;
  if (share < walk_share / 4 && thread->walk_scale > 0) thread->walk_scale--;
}

/* Smoothed, since a drawn gap is anything, and deaf to single long calls, behind which everything would be
 * timed. */
static uint64_t spacing_of(struct rf_slot *slot, uint64_t now, uint64_t weight) {
  uint64_t apart = (now - slot->last_exit) / (weight ? weight : 1);
  if (slot->spacing && apart > 16 * slot->spacing) apart = 16 * slot->spacing;
  slot->spacing = slot->spacing ? (7 * slot->spacing + apart) / 8 : apart;
  return slot->spacing ? slot->spacing : 1;
}

static int bits_of(uint64_t value) { return value ? 64 - __builtin_clzll(value) : 0; }

/*
 * Long calls weigh most in every sum and are cheap to time, measured by their length: so the greater a
 * function's root mean square is beside the interval, the more of its calls are timed (as in Neyman's
 * allocation), in powers of two. A function whose calls are mostly short and sometimes very long keeps its
 * totals that way; what that takes is the budget's, so that the interval rises until both agree.
 */
static int longness(const struct rf_slot *slot, uint64_t least) {
  int squares = slot->square_high ? 64 + bits_of(slot->square_high) : bits_of(slot->square_low);
  int root = (squares - bits_of(slot->weights)) / 2, surplus = root - bits_of(least) - LONG_BITS;
  return surplus < 0 ? 0 : surplus;
}

/*
 * Exponential with mean 1, from 32 random bits: minus their logarithm, whose curve between powers of two is a
 * parabola here (1% off at most, the mean kept).
 */
static uint64_t draw_exponential(struct rf_thread *thread) {
  enum { BEND = 22532, LN2 = 45426 }; /* 0.3438 and ln 2, in 1/65536 */
  uint64_t bits = rf_pace_draw(thread) << 32 | 1u << 31;
  int zeros = __builtin_clzll(bits);
  uint64_t m = bits << zeros << 1 >> (64 - FRACTION), one = 1u << FRACTION;
  uint64_t log2 = m + (m * (one - m) >> FRACTION) * BEND / one;
  return (((uint64_t)(zeros + 1) << FRACTION) - log2) * LN2 >> FRACTION;
}

/*
 * Geometric with mean weight - 1: each call's chance to be timed is 1/weight whatever the calls before it
 * were, so no pattern of calls (recursion has one) can agree with the gaps. A geometric number is the whole
 * part of an exponential one with the mean 1 / ln(weight / (weight - 1)), here by its series.
 */
static uint64_t draw_gap(struct rf_thread *thread, uint64_t weight) {
  uint64_t one = 1u << FRACTION;
  uint64_t mean = weight * one - one / 2 - one / (12 * weight - 6);
  return draw_exponential(thread) * mean >> (2 * FRACTION);
}

static int64_t *countdown_of(const struct rf_thread *thread, const struct rf_slot *slot) {
  if (!thread->own_countdowns || slot->function >= rf_countdown_capacity) return NULL;
  return (int64_t *)((uintptr_t)rf_no_countdowns + thread->own_countdowns) + slot->function;
}

/* In place of what was left of an earlier gap, which says nothing of the calls to come. One exchange and one
 * addition, so a handler's calls in between are counted. */
static void set_gap(struct rf_slot *slot, int64_t *countdown, uint64_t gap) {
  /* the stub goes on to the entry when it gets to 0 */
  int64_t left = __atomic_exchange_n(countdown, (int64_t)gap + 1, __ATOMIC_RELAXED) - 1;
  slot->counted += gap - (left > 0 ? (uint64_t)left : 0);
}

static void set_weight(struct rf_slot *slot, uint64_t weight) {
  uint32_t flags = slot->next & ((1u << RF_RECORD_WEIGHT_SHIFT) - 1);
  slot->next = flags | (uint32_t)weight << RF_RECORD_WEIGHT_SHIFT;
}

RF_PRESERVE_ALL void rf_pace_nested(struct rf_slot *slot, uint64_t weight) {
  struct rf_thread *thread = rf_tls.self;
  int64_t *countdown = countdown_of(thread, slot);
  if (!countdown) return;
  rf_pace_spend(thread, slot, rf_pace_probe_cost + rf_pace_probe_cost / 4);
  set_gap(slot, countdown, draw_gap(thread, weight));
  set_weight(slot, weight);
}

bool rf_pace_skips(const struct rf_thread *thread, const struct rf_slot *slot) {
  int64_t *countdown = countdown_of(thread, slot);
  return countdown && *countdown > 0 && --*countdown > 0;
}

#define LONG_GAP (1ull << 17) /* about 50 us: shorter calls are no trouble, whatever they stand for */

/* A room is for gaps of one length and of up to four times it; the last for all longer ones. */
static unsigned room_of(uint64_t cycles) {
  unsigned room = (unsigned)(bits_of(cycles) - bits_of(LONG_GAP)) / 2;
  return room < RF_ROOMS ? room : RF_ROOMS - 1;
}

/* Without a call that was timed; what long calls may have taken in it is told by later ones. */
static void end_gap(struct rf_slot *slot, int64_t *countdown, uint64_t length) {
  if (length >= LONG_GAP) slot->room[room_of(length)] += length;
  set_gap(slot, countdown, 0);
  set_weight(slot, 0);
}

/* asks: a call of the function has got to the entry. Where a gap is left, that was not by its end. */
static void look_at(struct rf_thread *thread, uint32_t id, uint64_t now, bool asks) {
  struct rf_slot *slot = thread->slots[id];
  int64_t *countdown = slot ? countdown_of(thread, slot) : NULL;
  if (!countdown || *countdown <= 0) return;
  uint64_t weight = slot->next >> RF_RECORD_WEIGHT_SHIFT, seldom = STALE * weight * slot->spacing;
  uint64_t length = now > slot->last_exit ? now - slot->last_exit : 0;
  bool stale = length > (seldom > RF_PACE_WINDOW ? seldom : RF_PACE_WINDOW);
  if (stale) slot->spacing = 0;
  if (stale || asks) end_gap(slot, countdown, length);
}

void rf_pace_look(struct rf_thread *thread, uint32_t id, uint32_t count, uint64_t now) {
  if (count > thread->slot_room) count = thread->slot_room;
  for (uint32_t i = 0; i < count; i++) look_at(thread, i, now, i == id);
  thread->window_cost += count * LOOK_COST;
}

/* At some functions in turn, so that a thread that times others need not wait for the sampler. */
static void look_at_some(struct rf_thread *thread, uint64_t now) {
  for (int n = 0; n < LOOKS; n++) {
    if (thread->look_next >= thread->slot_room) thread->look_next = 0;
    look_at(thread, thread->look_next++, now, false);
  }
}

/* The interval that brings what probes took to three quarters of their share. */
static uint64_t next_interval(uint64_t interval, uint64_t least, uint64_t taken, uint64_t aim) {
  if (taken > 2 * aim) taken = 2 * aim; /* no more than so much at a time, either way */
  if (taken < aim / 2) taken = aim / 2;
  interval = interval * taken / aim;
  if (interval < least) interval = least;
  return interval < LONGEST_INTERVAL ? interval : LONGEST_INTERVAL;
}

static uint64_t aim_of(uint64_t share) { return share - share / 4; }

static uint64_t length_of(uint64_t start, uint64_t now) {
  return now - start < LONGEST_INTERVAL ? now - start : LONGEST_INTERVAL;
}

RF_PRESERVE_ALL void rf_pace_adjust(struct rf_thread *thread, uint64_t now) {
  uint64_t elapsed = length_of(thread->window_start, now), taken = share_of(thread->window_cost, elapsed);
  thread->window_start = now;
  thread->window_cost = 0;
  adjust_walks(thread, elapsed);
  if (budget_share)
    thread->least_interval =
        next_interval(thread->least_interval, rf_pace_base_interval, taken, aim_of(budget_share));
  look_at_some(thread, now);
}

static void adjust_own(struct rf_slot *slot, uint64_t now) {
  uint64_t taken = share_of(slot->own_cost, length_of(slot->own_start, now)), aim = aim_of(slot->own_share);
  slot->own_interval = next_interval(slot->own_interval, interval_for(rf_pace_probe_cost, aim), taken, aim);
  slot->own_start = now;
  slot->own_cost = 0;
}

/* What of the wanted time the rooms of gaps that were as long have left. */
static uint64_t take_room(struct rf_slot *slot, uint64_t length, uint64_t wanted) {
  uint64_t taken = 0;
  for (unsigned i = room_of(length); i < RF_ROOMS && taken < wanted; i++) {
    uint64_t part = wanted - taken < slot->room[i] ? wanted - taken : slot->room[i];
    slot->room[i] -= part;
    taken += part;
  }
  return taken;
}

RF_PRESERVE_ALL uint64_t rf_pace_plausible(struct rf_slot *slot, uint64_t now, uint64_t duration,
                                           uint64_t weight) {
  uint64_t gap = now - slot->last_exit;
  if (gap < LONG_GAP || slot->next & RF_RECORD_RECURSIVE) return duration;
  uint64_t inside = rf_probe_cycles.inside, body = duration > inside ? duration - inside : 0;
  uint64_t whole = weight * body;
  if (whole <= gap) slot->room[room_of(gap)] += gap - whole;
  if (whole <= gap || body < LONG_GAP) return duration;
  return (gap + take_room(slot, body, whole - gap)) / weight + inside;
}

/*
 * How many calls the next timed one is to stand for; under 2: all are timed. A function's first calls, of
 * which more are timed than the interval says, don't count: longer intervals would change nothing, and have
 * others timed too seldom, and this one later.
 */
static uint64_t next_weight(const struct rf_slot *slot, uint64_t least, uint64_t spacing, uint64_t *cost) {
  /* Drawing, and the jump at the gap's end that no processor foresees, take somewhat more than the probe
   * itself (measured). */
  uint64_t trusted = slot->durations / TRUST, drawing = rf_pace_probe_cost + rf_pace_probe_cost / 4;
  uint64_t weight = least / spacing >> longness(slot, least);
  if (weight > trusted) {
    if (*cost >= rf_pace_probe_cost) *cost -= rf_pace_probe_cost;
    return trusted < MOST_WEIGHT ? trusted : MOST_WEIGHT;
  }
  if (weight >= 2) *cost += drawing;
  return weight < MOST_WEIGHT ? weight : MOST_WEIGHT;
}

/* least: the interval between timed calls; cost: of the window in which it is kept. */
static void thin(struct rf_thread *thread, struct rf_slot *slot, uint64_t now, uint64_t ended, uint64_t least,
                 uint64_t *cost) {
  uint64_t weight = next_weight(slot, least, spacing_of(slot, now, ended), cost);
  int64_t *countdown = countdown_of(thread, slot);
  slot->last_exit = now;
  if (!countdown) return;
  if (weight < 2) {
    set_weight(slot, 0);
    if (*countdown > 0) set_gap(slot, countdown, 0);
    return;
  }
  thread->thinning = true;
  set_weight(slot, weight);
  set_gap(slot, countdown, draw_gap(thread, weight));
}

/* The probe is on the thread's account already; it moves to the function's. */
static void thin_own(struct rf_thread *thread, struct rf_slot *slot, uint64_t now, uint64_t ended) {
  if (thread->window_cost >= rf_pace_probe_cost) thread->window_cost -= rf_pace_probe_cost;
  slot->own_cost += rf_pace_probe_cost;
  if ((int64_t)(now - slot->own_start) > (int64_t)RF_PACE_WINDOW) adjust_own(slot, now);
  bool seldom =
      now - slot->last_exit >= slot->own_interval && !ended && !(slot->next >> RF_RECORD_WEIGHT_SHIFT);
  if (seldom)
    slot->last_exit = now;
  else
    thin(thread, slot, now, ended, slot->own_interval, &slot->own_cost);
}

RF_PRESERVE_ALL void rf_pace_thin(struct rf_thread *thread, struct rf_slot *slot, uint64_t now,
                                  uint64_t ended) {
  if (slot->next & RF_RECORD_OWN)
    thin_own(thread, slot, now, ended);
  else
    thin(thread, slot, now, ended, thread->least_interval, &thread->window_cost);
}

void rf_pace_start(uint32_t share, uint32_t own_share, uint64_t probe_cost) {
  budget_share = share;
  walk_share = (share ? share : own_share) / 4;
  active = share || own_share;
  rf_pace_probe_cost = probe_cost;
  rf_pace_base_interval = share ? interval_for(probe_cost, aim_of(share)) : 0;
}
