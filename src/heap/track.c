/* See track.h. */
#include "heap/track.h"

#include <errno.h>
#include <math.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/memory.h"
#include "heap/allocator.h"
#include "heap/blocks.h"
#include "heap/capture.h"
#include "heap/foreign.h"
#include "heap/sites.h"
#include "heap/stacks.h"
#include "recording/writer.h"
#include "unwind/unwind.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define DEPTH_MOST 2048
#define MEASURED_FIRST 64

struct rf_heap_thread {
  uint64_t random;
  uint64_t dice;          /* random bits that are left, below a bit that is set */
  const void *last_block; /* the youngest tracked block, and the thread's calls when it was made */
  uint64_t last_calls;
  struct rf_site_part *last_part;
  struct rf_site_parts parts;
  struct rf_capture *capture;
};

enum rf_track_mode rf_track_mode;
uint8_t *rf_track_filter; /* sampled mode: how many tracked blocks have this slot; 255 stays */
static double interval;
static uint64_t seed;
static uint32_t depth;
static bool inherited; /* blocks from before a fork, which are not in the table */

/* ---- start ---- */

static bool start_filter(void) {
  size_t bytes = (size_t)1 << RF_FILTER_BITS;
  if (!rf_track_filter) rf_track_filter = rf_pages(bytes);
  if (rf_track_filter) rf_syscall(SYS_madvise, rf_track_filter, bytes, MADV_WIPEONFORK);
  return rf_track_filter != NULL;
}

bool rf_track_start(const struct rf_track_plan *plan) {
  interval = plan->sample_bytes ? (double)plan->sample_bytes : 1;
  seed = plan->sample_seed;
  depth = plan->stack_depth < 1 ? 1 : plan->stack_depth > DEPTH_MOST ? DEPTH_MOST : plan->stack_depth;
  if (plan->mode == RF_TRACK_NONE) return true;
  bool sampled = plan->mode == RF_TRACK_SAMPLED;
  if (sampled && !start_filter()) return false;
  if (rf_unwind_start() != 0 || !rf_blocks_start(rf_app.glibc && !rf_foreign_hooked() ? 5 : 3) ||
      !rf_stacks_start() || !rf_sites_start(sampled))
    return false;
  rf_track_mode = plan->mode;
  return true;
}

void rf_track_restart(void) {
  inherited = true;
  if (rf_track_mode != RF_TRACK_NONE && !rf_sites_start(rf_track_mode == RF_TRACK_SAMPLED))
    rf_track_mode = RF_TRACK_NONE;
}

/* ---- threads ---- */

/* The thread's part of the site of a stack. */
static void *known_of(void *user, rf_ref stack) {
  struct rf_thread *thread = user;
  return rf_sites_part(thread, &thread->heap_private->parts, rf_sites_number(stack));
}

/* Threads draw from sequences of their own, told apart by the order in which they came. */
static uint64_t random_start(const struct rf_thread *thread, const void *state) {
  uint64_t x = seed ? seed * 0x9e3779b97f4a7c15u + thread->index : rf_cycles() ^ (uintptr_t)state;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return x ? x : 1;
}

static struct rf_heap_thread *new_state(const struct rf_thread *thread) {
  struct rf_heap_thread *state = rf_pages(sizeof *state);
  if (!state) return NULL;
  state->random = random_start(thread, state);
  state->capture = rf_capture_new(depth, known_of);
  return state->capture ? state : NULL;
}

static uint64_t random_bits(struct rf_heap_thread *state) { /* xorshift64* */
  uint64_t x = state->random;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  state->random = x;
  return x * 0x2545f4914f6cdd1du;
}

/* One drawing of random bits lasts for 15 decisions. */
static inline bool one_in_sixteen(struct rf_heap_thread *state) {
  if (UNLIKELY(state->dice < 16)) state->dice = random_bits(state) | (uint64_t)1 << 63;
  bool chosen = !(state->dice & 15);
  state->dice >>= 4;
  return chosen;
}

/* In (0, 1]. */
static double draw(struct rf_heap_thread *state) {
  return (double)((random_bits(state) >> 11) + 1) * 0x1p-53;
}

static uint64_t next_sample(struct rf_thread *thread) {
  if (rf_track_mode == RF_TRACK_EXACT) return 0;
  double gap = -log(draw(thread->heap_private)) * interval;
  return thread->entry->heap.alloc_bytes + (uint64_t)gap;
}

uint64_t rf_track_thread(struct rf_thread *thread) {
  if (rf_track_mode == RF_TRACK_NONE) return UINT64_MAX;
  if (!thread->heap_private) thread->heap_private = new_state(thread);
  if (!thread->heap_private) {
    __atomic_fetch_add(&rf_recording_header()->dropped_sites, 1, __ATOMIC_RELAXED);
    return UINT64_MAX;
  }
  rf_sites_part(thread, &thread->heap_private->parts,
                1); /* while there is room: what finds none later counts there */
  return next_sample(thread);
}

void rf_track_taken_over(struct rf_thread *thread) {
  struct rf_heap_thread *state = thread->heap_private;
  if (!state) return;
  rf_capture_reset(state->capture);
  state->last_block = NULL;
  state->last_part = NULL;
}

/* ---- weights ---- */

/* What one sample of so many bytes stands for. */
struct weight {
  uint64_t calls, bytes; /* calls in units of 1 / RF_SITE_CALL_SCALE */
  double factor, variance;
};

static struct weight weigh(size_t bytes) {
  double size = (double)bytes, p = -expm1(-size / interval);
  struct weight weight = {.factor = p > 0 ? 1 / p : 1};
  weight.calls = (uint64_t)(weight.factor * RF_SITE_CALL_SCALE + 0.5);
  weight.bytes = (uint64_t)(size * weight.factor + 0.5);
  weight.variance = (1 - p) * size * weight.factor * size * weight.factor;
  return weight;
}

void rf_track_stands_for(size_t usable, uint64_t *calls, uint64_t *bytes) {
  *calls = 1;
  *bytes = usable;
  if (rf_track_mode != RF_TRACK_SAMPLED) return;
  uint32_t environment = rf_float_reset();
  struct weight weight = weigh(usable);
  *calls = weight.calls;
  *bytes = weight.bytes;
  rf_float_restore(environment);
}

bool rf_track_knows_all(void) {
  return rf_track_mode == RF_TRACK_EXACT && !inherited && !rf_recording_header()->dropped_sites;
}

/* The clock costs as much as all the rest: of a site that has been seen often, the lives of a random
 * sixteenth are measured. Word 0: not this one's. */
static uint64_t birth(struct rf_heap_thread *state, const struct rf_site_part *part) {
  bool often = rf_track_mode == RF_TRACK_EXACT && part->alloc_calls > MEASURED_FIRST;
  if (often && !one_in_sixteen(state)) return 0;
  uint64_t tick = rf_cycles() / RF_TICK_CYCLES & RF_WORD_TICKS;
  return tick ? tick : 1;
}

/* ---- allocations ---- */

static void remember(struct rf_thread *thread, void *block, const struct rf_site_part *part) {
  struct rf_heap_thread *state = thread->heap_private;
  uint64_t *word = rf_blocks_word(block, true);
  if (!word) {
    __atomic_fetch_add(&rf_recording_header()->dropped_sites, 1, __ATOMIC_RELAXED);
    return;
  }
  __atomic_store_n(word, rf_word(part->site, birth(state, part), block), __ATOMIC_RELAXED);
  state->last_block = block;
  state->last_calls = thread->heap->alloc_calls;
}

static void filter_add(const void *block, int change) {
  uint8_t *slot = &rf_track_filter[rf_track_slot(block)];
  uint8_t value = __atomic_load_n(slot, __ATOMIC_RELAXED);
  while (value != UINT8_MAX && !__atomic_compare_exchange_n(slot, &value, (uint8_t)(value + change), true,
                                                            __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static struct rf_site_part *here(struct rf_thread *thread) {
  struct rf_heap_thread *state = thread->heap_private;
  return state->last_part = rf_capture_here(state->capture, thread);
}

/* The part for a block's end: often that of the last allocation. */
static struct rf_site_part *part_of(struct rf_thread *thread, uint32_t site) {
  struct rf_heap_thread *state = thread->heap_private;
  struct rf_site_part *part = state->last_part;
  return LIKELY(part && part->site == site) ? part : rf_sites_part(thread, &state->parts, site);
}

/* Rounding raises flags that the app may look at. */
static void sample(struct rf_thread *thread, void *block, size_t requested, size_t usable) {
  uint32_t environment = rf_float_reset();
  struct rf_site_part *part = here(thread);
  struct weight weight = weigh(usable);
  if (part) {
    rf_site_alloc(part, weight.calls, (uint64_t)((double)requested * weight.factor + 0.5), weight.bytes);
    part->variance_bytes += weight.variance;
    filter_add(block, 1);
    remember(thread, block, part);
  }
  thread->heap_next = next_sample(thread);
  rf_float_restore(environment);
}

void rf_track_alloc(struct rf_thread *thread, void *block, size_t requested, size_t usable) {
  if (!thread->heap_private) {
    thread->heap_next = UINT64_MAX;
    return;
  }
  if (rf_track_mode == RF_TRACK_SAMPLED) {
    int error = errno;
    sample(thread, block, requested, usable);
    errno = error;
    return;
  }
  struct rf_site_part *part = here(thread);
  if (!part) return;
  rf_site_alloc(part, 1, requested, usable);
  remember(thread, block, part);
}

/* ---- ends ---- */

uint64_t rf_track_take(void *block) {
  uint64_t *place = rf_blocks_word(block, false);
  uint64_t word = place ? __atomic_load_n(place, __ATOMIC_RELAXED) : 0;
  if (!word) return 0;
  __atomic_store_n(place, 0, __ATOMIC_RELAXED);
  if (rf_track_filter) filter_add(block, -1);
  return word;
}

uint64_t rf_track_take_to_move(struct rf_thread *thread, void *block) {
  __atomic_store_n(&thread->heap_moving, (uintptr_t)block, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  uint64_t word = rf_track_take(block);
  if (!word) rf_track_moved(thread);
  return word;
}

void rf_track_put_back(void *block, uint64_t word) {
  uint64_t *place = word ? rf_blocks_word(block, false) : NULL;
  if (!place) return;
  if (rf_track_filter) filter_add(block, 1);
  __atomic_store_n(place, word, __ATOMIC_RELAXED);
}

/* factor: how many blocks this one stands for, among those whose lives were measured. */
static void count_life(struct rf_site_part *part, uint64_t word, double factor) {
  if (!rf_word_birth(word)) return;
  uint64_t now = rf_cycles() / RF_TICK_CYCLES;
  part->lifetime_ticks += (double)((now - rf_word_birth(word)) & RF_WORD_TICKS) * factor;
  part->lifetimes += factor;
}

static void sample_ends(struct rf_site_part *part, uint64_t word, size_t usable, bool temporary) {
  int error = errno;
  uint32_t environment = rf_float_reset();
  struct weight weight = weigh(usable);
  rf_site_free(part, weight.calls, weight.bytes);
  if (temporary) rf_local_add(&part->temporary_calls, weight.calls);
  count_life(part, word, weight.factor);
  rf_float_restore(environment);
  errno = error;
}

void rf_track_free(struct rf_thread *thread, const void *block, uint64_t word, size_t usable) {
  struct rf_heap_thread *state = thread->heap_private;
  if (!word || !state) return;
  struct rf_site_part *part = part_of(thread, rf_word_site(word));
  if (!part) return;
  bool temporary = block == state->last_block && thread->heap->alloc_calls == state->last_calls;
  if (rf_track_mode == RF_TRACK_SAMPLED) {
    sample_ends(part, word, usable, temporary);
    return;
  }
  rf_site_free(part, 1, usable);
  if (temporary) rf_local_add(&part->temporary_calls, 1);
  count_life(part, word, 1);
}
