/* See capture.h. */
#include "heap/capture.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "heap/stacks.h"
#include "unwind/unwind.h"

#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define WAY_BITS 7
#define KNOWN_BITS 10

/* One of the last stacks, outermost frame first. */
struct last {
  struct rf_unwind_cache *cache;
  uint32_t count;
  bool cut; /* it was truncated */
  uintptr_t *address;
  rf_ref *node;
};

struct known {
  rf_ref parent, node;
  uintptr_t address;
};

struct rf_capture {
  rf_ref before; /* the stack that was captured last */
  bool busy;     /* a handler that allocates meanwhile goes without all this */
  uint32_t depth;
  uintptr_t *frames; /* scratch, innermost first */
  struct last last[1 << WAY_BITS];
  struct known known[1 << KNOWN_BITS];
};

struct rf_capture *rf_capture_new(uint32_t depth) {
  size_t ways = 1 << WAY_BITS, addresses = (ways + 1) * depth;
  struct rf_capture *capture =
      rf_pages(sizeof *capture + addresses * sizeof(uintptr_t) + ways * depth * sizeof(rf_ref));
  if (!capture) return NULL;
  capture->depth = depth;
  capture->frames = (uintptr_t *)(capture + 1);
  for (unsigned i = 0; i < ways; i++) {
    capture->last[i].address = capture->frames + (i + 1) * depth;
    capture->last[i].node = (rf_ref *)(capture->frames + addresses) + i * depth;
  }
  return capture;
}

void rf_capture_reset(struct rf_capture *capture) {
  for (unsigned i = 0; i < 1 << WAY_BITS; i++) {
    if (capture->last[i].cache) rf_unwind_cache_reset(capture->last[i].cache);
    capture->last[i].count = 0;
  }
  capture->busy = false;
}

/* ---- nodes ---- */

static rf_ref node_of(struct rf_capture *capture, rf_ref parent, uintptr_t address) {
  struct known *known =
      &capture->known[(address ^ (uintptr_t)parent << 7) * 0x9e3779b97f4a7c15u >> (64 - KNOWN_BITS)];
  if (known->address == address && known->parent == parent) return known->node;
  rf_ref node = rf_stacks_node(parent, address);
  if (node) *known = (struct known){parent, node, address};
  return node;
}

/* The nodes of frames[count], the first `same` of them (from outside) being those of the last stack. */
static rf_ref walk_nodes(struct rf_capture *capture, struct last *last, size_t count, size_t same, bool cut) {
  rf_ref node = same ? last->node[same - 1] : cut ? RF_STACK_CUT : RF_STACK_END;
  for (size_t i = same; i < count; i++) {
    uintptr_t address = capture->frames[count - 1 - i];
    node = node_of(capture, node, address);
    if (!node) break;
    last->address[i] = address;
    last->node[i] = node;
  }
  last->cut = cut;
  last->count = node > RF_STACK_CUT ? (uint32_t)count : 0;
  return node > RF_STACK_CUT ? node : RF_STACK_END;
}

/* ---- the walk ---- */

static rf_ref with_last(struct rf_capture *capture, struct last *last) {
  bool cut;
  size_t count = rf_unwind_here(last->cache, capture->frames, capture->depth, &cut);
  size_t same = last->cache ? rf_unwind_reused(last->cache) : 0;
  if (UNLIKELY(same && (same > last->count || cut != last->cut))) { /* only the walk knows what they were */
    rf_unwind_cache_reset(last->cache);
    count = rf_unwind_here(last->cache, capture->frames, capture->depth, &cut);
    same = 0;
  }
  return walk_nodes(capture, last, count, same, cut);
}

/* In a handler that interrupted the above on this thread. */
static __attribute__((noinline)) rf_ref apart(uint32_t depth) {
  enum { MOST = 256 };
  uintptr_t frames[MOST];
  bool cut;
  size_t count = rf_unwind_here(NULL, frames, depth < MOST ? depth : MOST, &cut);
  rf_ref node = cut ? RF_STACK_CUT : RF_STACK_END;
  for (size_t i = count; i-- > 0;)
    if (!(node = rf_stacks_node(node, frames[i]))) return RF_STACK_END;
  return node;
}

/* Allocations come in sequences that repeat: the one before tells which of several stacks of this depth it
 * will be. */
static struct last *last_of(struct rf_capture *capture, uintptr_t position) {
  uint64_t hash = (position >> 4) * 0x9e3779b97f4a7c15u;
  hash = (hash ^ hash >> 32 ^ capture->before) * 0xd6e8feb86659fd93u;
  return &capture->last[hash >> (64 - WAY_BITS)];
}

rf_ref rf_capture_here(struct rf_capture *capture) {
  if (UNLIKELY(capture->busy)) return apart(capture->depth);
  __atomic_store_n(&capture->busy, true, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  uintptr_t position = (uintptr_t)__builtin_frame_address(0);
  struct last *last = last_of(capture, position);
  if (UNLIKELY(!last->cache) && (last->cache = rf_unwind_cache_new(capture->depth)))
    rf_unwind_cache_lean(last->cache);
  rf_ref stack = capture->before = with_last(capture, last);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&capture->busy, false, __ATOMIC_RELAXED);
  return stack;
}
