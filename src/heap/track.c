/* See track.h. */
#include "heap/track.h"

#include <errno.h>
#include <math.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/memory.h"
#include "heap/allocator.h"
#include "heap/blocks.h"
#include "heap/sites.h"
#include "heap/stacks.h"
#include "recording/writer.h"
#include "unwind/unwind.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define DEPTH_MOST 2048
#define MEASURED_FIRST 64

/* A thread's own: its last stack with the nodes of its frames, outermost first, so that what two stacks share
 * is not looked up. */
struct rf_heap_thread {
  bool busy; /* the last stack is being changed: a handler that allocates meanwhile goes without it */
  bool cut;  /* the last stack was truncated */
  uint32_t count;
  uint64_t random;
  const void *last_block; /* the youngest tracked block, and the thread's calls when it was made */
  uint64_t last_calls;
  rf_ref last_stack; /* the stack that the part below is of */
  struct rf_site_part *last_part;
  struct rf_site_parts parts;
  struct rf_unwind_cache *cache;
  uintptr_t *frames; /* scratch, innermost first */
  uintptr_t *address;
  rf_ref *node;
};

enum rf_track_mode rf_track_mode;
uint8_t *rf_track_filter; /* sampled mode: how many tracked blocks have this slot; 255 stays */
static double interval;
static uint32_t depth;

/* ---- start ---- */

static bool start_filter(void) {
  size_t bytes = (size_t)1 << RF_FILTER_BITS;
  if (!rf_track_filter) rf_track_filter = rf_pages(bytes);
  if (rf_track_filter) rf_syscall(SYS_madvise, rf_track_filter, bytes, MADV_WIPEONFORK);
  return rf_track_filter != NULL;
}

bool rf_track_start(const struct rf_track_plan *plan) {
  interval = plan->sample_bytes ? (double)plan->sample_bytes : 1;
  depth = plan->stack_depth < 1 ? 1 : plan->stack_depth > DEPTH_MOST ? DEPTH_MOST : plan->stack_depth;
  if (plan->mode == RF_TRACK_NONE) return true;
  bool sampled = plan->mode == RF_TRACK_SAMPLED;
  if (sampled && !start_filter()) return false;
  if (rf_unwind_start() != 0 || !rf_blocks_start(rf_app.glibc ? 5 : 3) || !rf_stacks_start() ||
      !rf_sites_start(sampled))
    return false;
  rf_track_mode = plan->mode;
  return true;
}

void rf_track_restart(void) {
  if (rf_track_mode != RF_TRACK_NONE && !rf_sites_start(rf_track_mode == RF_TRACK_SAMPLED))
    rf_track_mode = RF_TRACK_NONE;
}

/* ---- threads ---- */

static struct rf_heap_thread *new_state(void) {
  size_t bytes = sizeof(struct rf_heap_thread) + depth * (2 * sizeof(uintptr_t) + sizeof(rf_ref));
  struct rf_heap_thread *state = rf_pages(bytes);
  if (!state) return NULL;
  state->frames = (uintptr_t *)(state + 1);
  state->address = state->frames + depth;
  state->node = (rf_ref *)(state->address + depth);
  state->cache = rf_unwind_cache_new(depth);
  if (state->cache) rf_unwind_cache_lean(state->cache);
  state->random = rf_cycles() ^ (uintptr_t)state;
  return state;
}

static uint64_t random_bits(struct rf_heap_thread *state) { /* xorshift64* */
  uint64_t x = state->random;
  x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
  state->random = x;
  return x * 0x2545f4914f6cdd1du;
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
  if (!thread->heap_private) thread->heap_private = new_state();
  if (!thread->heap_private) {
    __atomic_fetch_add(&rf_recording_header()->dropped_sites, 1, __ATOMIC_RELAXED);
    return UINT64_MAX;
  }
  return next_sample(thread);
}

void rf_track_taken_over(struct rf_thread *thread) {
  struct rf_heap_thread *state = thread->heap_private;
  if (!state) return;
  if (state->cache) rf_unwind_cache_reset(state->cache);
  state->busy = false;
  state->count = 0;
  state->last_block = NULL;
  state->last_part = NULL;
}

/* ---- the stack ---- */

/* The nodes of frames[count], the first `known` of them (from outside) being those of the last stack. */
static rf_ref walk_nodes(struct rf_heap_thread *state, size_t count, size_t known, bool cut) {
  rf_ref node = known ? state->node[known - 1] : cut ? RF_STACK_CUT : RF_STACK_END;
  bool same = cut == state->cut;
  for (size_t i = known; i < count; i++) {
    uintptr_t address = state->frames[count - 1 - i];
    same = same && i < state->count && state->address[i] == address;
    node = same ? state->node[i] : rf_stacks_node(node, address);
    if (!node) break;
    state->address[i] = address;
    state->node[i] = node;
  }
  state->cut = cut;
  state->count = node > RF_STACK_CUT ? (uint32_t)count : 0;
  return node;
}

static rf_ref stack_here(struct rf_heap_thread *state) {
  bool cut;
  size_t count = rf_unwind_here(state->cache, state->frames, depth, &cut);
  size_t known = state->cache ? rf_unwind_reused(state->cache) : 0;
  if (UNLIKELY(known &&
               (known > state->count || cut != state->cut))) { /* only the walk knows what they were */
    rf_unwind_cache_reset(state->cache);
    count = rf_unwind_here(state->cache, state->frames, depth, &cut);
    known = 0;
  }
  return walk_nodes(state, count, known, cut);
}

/* In a handler that interrupted the above on this thread. */
static rf_ref stack_apart(void) {
  enum { MOST = 256 };
  uintptr_t frames[MOST];
  bool cut;
  size_t count = rf_unwind_here(NULL, frames, depth < MOST ? depth : MOST, &cut);
  rf_ref node = cut ? RF_STACK_CUT : RF_STACK_END;
  for (size_t i = count; i-- > 0;)
    if (!(node = rf_stacks_node(node, frames[i]))) break;
  return node;
}

static rf_ref find_stack(struct rf_heap_thread *state) {
  if (__builtin_expect(state->busy, 0)) return stack_apart();
  __atomic_store_n(&state->busy, true, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_ref stack = stack_here(state);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&state->busy, false, __ATOMIC_RELAXED);
  return stack;
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

/* The clock costs as much as all the rest: of a site that has been seen often, the lives of a random eighth
 * are measured. Word 0: not this one's. */
static uint64_t birth(struct rf_heap_thread *state, const struct rf_site_part *part) {
  bool often = rf_track_mode == RF_TRACK_EXACT && part->alloc_calls > MEASURED_FIRST;
  if (often && random_bits(state) >> 61) return 0;
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

/* Two words are remembered, so a handler in between may make them of different stacks: the part itself comes
 * first and is emptied before. */
static struct rf_site_part *here(struct rf_thread *thread) {
  struct rf_heap_thread *state = thread->heap_private;
  rf_ref stack = find_stack(state);
  struct rf_site_part *part = state->last_part;
  if (LIKELY(part && state->last_stack == stack && stack)) return part;
  part = rf_sites_part(thread, &state->parts, rf_sites_number(stack));
  state->last_part = NULL;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  state->last_stack = stack;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  state->last_part = part;
  return part;
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
