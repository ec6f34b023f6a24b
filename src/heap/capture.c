/* See capture.h. */
#include "heap/capture.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/memory.h"
#include "heap/stacks.h"
#include "unwind/seal.h"
#include "unwind/unwind.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SET_BITS 6
#define WAYS 4
#define KNOWN_BITS 10

/* A stack that was captured, and will be again. */
struct sealed {
  void *known;
  struct sealed *next; /* what was captured after it the last time; NULL: not known */
  rf_ref stack;
  struct rf_unwind_seal seal;
};

/* Sealed stacks whose tags fall together; several may have the same one. */
struct set {
  uint32_t tag[WAYS];
  uint32_t oldest;
};

struct node {
  rf_ref parent, ref;
  uintptr_t address;
};

struct rf_capture {
  struct sealed *last; /* the stack that was captured last */
  bool busy;           /* a handler that allocates meanwhile goes without all this */
  uint32_t depth;
  size_t sealed_bytes; /* of each */
  char *sealed;
  rf_capture_known *known;
  struct set set[1 << SET_BITS];
  /* The last walk, outermost frame first. */
  struct rf_unwind_cache *walk;
  uint32_t count;
  bool cut; /* it was truncated */
  rf_ref *node;
  uint64_t *key;     /* of the nodes */
  uintptr_t *frames; /* scratch, innermost first */
  struct node nodes[1 << KNOWN_BITS];
  struct sealed none; /* for stacks that are not sealed */
};

/* An odd number of cache lines: or those that are looked at first would share a few places in the cache. */
static size_t sealed_bytes(uint32_t depth) {
  size_t bytes = offsetof(struct sealed, seal) + rf_unwind_seal_bytes(depth);
  return (bytes + 63) / 128 * 128 + 64;
}

static struct sealed *sealed_at(const struct rf_capture *capture, size_t index) {
  return (struct sealed *)(capture->sealed + index * capture->sealed_bytes);
}

struct rf_capture *rf_capture_new(uint32_t depth, rf_capture_known *known) {
  size_t each = sealed_bytes(depth), header = (sizeof(struct rf_capture) + 63) / 64 * 64,
         all = WAYS << SET_BITS;
  char *memory =
      rf_pages(header + all * each + depth * (sizeof(uintptr_t) + sizeof(uint64_t) + sizeof(rf_ref)));
  if (!memory) return NULL;
  struct rf_capture *capture = (struct rf_capture *)memory;
  capture->walk = rf_unwind_cache_new(depth);
  if (capture->walk) rf_unwind_cache_lean(capture->walk);
  capture->depth = depth;
  capture->known = known;
  capture->last = &capture->none;
  capture->sealed_bytes = each;
  capture->sealed = memory + header;
  capture->frames = (uintptr_t *)(capture->sealed + all * each);
  capture->key = (uint64_t *)(capture->frames + depth);
  capture->node = (rf_ref *)(capture->key + depth);
  return capture;
}

void rf_capture_reset(struct rf_capture *capture) {
  if (capture->walk) rf_unwind_cache_reset(capture->walk);
  for (unsigned i = 0; i < 1 << SET_BITS; i++) capture->set[i] = (struct set){0};
  capture->none.next = NULL; /* no other way leads to what is sealed: it speaks of a stack that may be gone */
  capture->last = &capture->none;
  capture->count = 0;
  capture->busy = false;
}

/* ---- nodes ---- */

static rf_ref node_of(struct rf_capture *capture, rf_ref parent, uint64_t key, uintptr_t address) {
  struct node *node =
      &capture->nodes[(address ^ (uintptr_t)parent << 7) * 0x9e3779b97f4a7c15u >> (64 - KNOWN_BITS)];
  if (node->address == address && node->parent == parent) return node->ref;
  rf_ref ref = rf_stacks_node(parent, key, address);
  if (ref) *node = (struct node){parent, ref, address};
  return ref;
}

/* The keys of frames[same] and what is inside, counted from outside. */
static void walk_keys(struct rf_capture *capture, size_t count, size_t same, bool cut) {
  uint64_t key = same ? capture->key[same - 1] : cut ? RF_STACK_CUT : RF_STACK_END;
  for (size_t i = same; i < count; i++) {
    key = capture->key[i] = rf_stacks_key(key, capture->frames[count - 1 - i]);
    rf_stacks_fetch(key);
  }
}

/* The node of frames[count], the first `same` of them (from outside) being those of the last walk. */
static rf_ref walk_nodes(struct rf_capture *capture, size_t count, size_t same, bool cut) {
  rf_ref node = same ? capture->node[same - 1] : cut ? RF_STACK_CUT : RF_STACK_END;
  walk_keys(capture, count, same, cut);
  for (size_t i = same; i < count; i++) {
    node = node_of(capture, node, capture->key[i], capture->frames[count - 1 - i]);
    if (!node) break;
    capture->node[i] = node;
  }
  capture->cut = cut;
  capture->count = node > RF_STACK_CUT ? (uint32_t)count : 0;
  return node > RF_STACK_CUT ? node : RF_STACK_END;
}

/* ---- the walk ---- */

static rf_ref walked(struct rf_capture *capture, const struct rf_registers *registers) {
  bool cut;
  size_t count = rf_unwind_registers(capture->walk, registers, capture->frames, capture->depth, &cut);
  size_t same = capture->walk ? rf_unwind_reused(capture->walk) : 0;
  if (UNLIKELY(same &&
               (same > capture->count || cut != capture->cut))) { /* only the walk knows what they were */
    rf_unwind_cache_reset(capture->walk);
    count = rf_unwind_registers(capture->walk, registers, capture->frames, capture->depth, &cut);
    same = 0;
  }
  return walk_nodes(capture, count, same, cut);
}

/* A place for another stack, instead of the oldest of its set. */
static struct sealed *sealed_new(struct rf_capture *capture, uint32_t tag,
                                 const struct rf_registers *registers) {
  size_t number = tag >> (32 - SET_BITS);
  struct set *set = &capture->set[number];
  unsigned way = set->oldest++ % WAYS;
  struct sealed *sealed = sealed_at(capture, number * WAYS + way);
  if (!sealed->seal.room)
    rf_unwind_seal_init(&sealed->seal, capture->sealed_bytes - offsetof(struct sealed, seal));
  set->tag[way] = rf_unwind_seal(capture->walk, registers, &sealed->seal) ? tag : 0;
  sealed->next = NULL;
  return sealed;
}

static __attribute__((noinline)) struct sealed *by_walking(struct rf_capture *capture, uint32_t tag,
                                                           const struct rf_registers *registers, void *user) {
  rf_ref stack = walked(capture, registers);
  void *known = capture->known(user, stack);
  bool keep = stack != RF_STACK_END && known && capture->walk;
  struct sealed *sealed = keep ? sealed_new(capture, tag, registers) : &capture->none;
  sealed->stack = stack;
  sealed->known = known;
  return sealed;
}

/* In a handler that interrupted a capture on this thread. */
static __attribute__((noinline)) void *apart(const struct rf_capture *capture, void *user) {
  enum { MOST = 256 };
  uintptr_t frames[MOST];
  bool cut;
  size_t count = rf_unwind_here(NULL, frames, capture->depth < MOST ? capture->depth : MOST, &cut);
  rf_ref node = cut ? RF_STACK_CUT : RF_STACK_END;
  uint64_t key = node;
  for (size_t i = count; i-- > 0;) {
    key = rf_stacks_key(key, frames[i]);
    if (!(node = rf_stacks_node(node, key, frames[i]))) break;
  }
  return capture->known(user, node > RF_STACK_CUT ? node : RF_STACK_END);
}

/* ---- stacks seen before ---- */

/* The stack before tells which of several of this depth it will be. Its upper bits are the set. */
static uint32_t tag_of(const struct rf_capture *capture, const struct rf_registers *registers) {
  uint64_t hash = (registers->at[RF_REG_STACK] >> 4) * 0x9e3779b97f4a7c15u;
  hash = (hash ^ hash >> 32 ^ capture->last->stack) * 0xd6e8feb86659fd93u;
  return (uint32_t)(hash >> 32) | 1;
}

static struct sealed *by_tag(const struct rf_capture *capture, uint32_t tag,
                             const struct rf_registers *registers) {
  size_t number = tag >> (32 - SET_BITS);
  for (unsigned way = 0; way < WAYS; way++) {
    if (capture->set[number].tag[way] != tag) continue;
    struct sealed *sealed = sealed_at(capture, number * WAYS + way);
    if (LIKELY(rf_unwind_seal_holds(&sealed->seal, registers))) return sealed;
  }
  return NULL;
}

static __attribute__((noinline)) struct sealed *another(struct rf_capture *capture,
                                                        const struct rf_registers *registers, void *user) {
  uint32_t tag = tag_of(capture, registers);
  struct sealed *sealed = by_tag(capture, tag, registers);
  return capture->last->next = sealed ? sealed : by_walking(capture, tag, registers, user);
}

/* The one that comes next has left the cache since its last time. */
static void fetch(const struct sealed *sealed) {
  for (unsigned i = 0; i < 4; i++) __builtin_prefetch((const char *)sealed + 64 * i);
}

void *rf_capture_here(struct rf_capture *capture, void *user) {
  struct rf_registers registers;
  if (UNLIKELY(capture->busy)) return apart(capture, user);
  __atomic_store_n(&capture->busy, true, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  rf_registers_here(&registers);
  struct sealed *sealed = capture->last->next;
  if (UNLIKELY(!sealed || !rf_unwind_seal_holds(&sealed->seal, &registers)))
    sealed = another(capture, &registers, user);
  capture->last = sealed;
  fetch(sealed->next);
  void *known = sealed->known;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&capture->busy, false, __ATOMIC_RELAXED);
  return known;
}
