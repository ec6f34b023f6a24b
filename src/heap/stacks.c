/* See stacks.h. */
#include "heap/stacks.h"

#include <stddef.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/memory.h"
#include "recording/writer.h"

#define LEVELS 5
#define BUCKET 8
#define FIRST_BITS 12
#define STEP_BITS 3
#define FAR_LEVEL 2 /* from here on a level is larger than near caches */

static uint64_t *level[LEVELS]; /* their pages are wiped in a forked child */

static size_t words(unsigned i) { return (size_t)1 << (FIRST_BITS + STEP_BITS * i); }

static uint64_t *get_level(unsigned i, bool make) {
  uint64_t *there = __atomic_load_n(&level[i], __ATOMIC_ACQUIRE);
  if (there || !make) return there;
  uint64_t *fresh = rf_pages(words(i) * sizeof *fresh);
  if (!fresh) return NULL;
  rf_syscall(SYS_madvise, fresh, words(i) * sizeof *fresh, MADV_WIPEONFORK);
  if (__atomic_compare_exchange_n(&level[i], &there, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return fresh;
  rf_pages_free(fresh, words(i) * sizeof *fresh);
  return there;
}

bool rf_stacks_start(void) { return get_level(0, true) != NULL; }

/* The low half chooses the bucket, the high one tells keys in it apart. */
static uint64_t hash_of(uint64_t key) { return key ^ key >> 32; }

static bool is(rf_ref ref, rf_ref parent, uintptr_t address) {
  const struct rf_stack_node *node =
      (const struct rf_stack_node *)((const char *)rf_recording_header() + ref);
  return node->address == address && node->parent == parent;
}

static rf_ref new_node(rf_ref parent, uintptr_t address) {
  struct rf_stack_node *node = rf_recording_alloc(sizeof *node);
  if (!node) return 0;
  node->parent = parent;
  node->address = address;
  return rf_recording_ref(node);
}

/* Looks through one bucket. 0: not in it, and it is full. A node made for nothing (another thread was faster)
 * stays unused. */
static rf_ref in_bucket(uint64_t *bucket, uint64_t hash, rf_ref parent, uintptr_t address, rf_ref *fresh) {
  uint64_t tag = hash & ~(uint64_t)0xffffffff;
  for (unsigned i = 0; i < BUCKET; i++) {
    uint64_t word = __atomic_load_n(&bucket[i], __ATOMIC_ACQUIRE);
    if (!word) {
      if (!*fresh && !(*fresh = new_node(parent, address))) return 0;
      if (__atomic_compare_exchange_n(&bucket[i], &word, tag | *fresh, false, __ATOMIC_ACQ_REL,
                                      __ATOMIC_ACQUIRE))
        return *fresh;
    }
    if ((word ^ tag) >> 32 == 0 && is((rf_ref)word, parent, address)) return (rf_ref)word;
  }
  return 0;
}

static uint64_t *bucket_of(unsigned i, uint64_t hash, bool make) {
  uint64_t *there = get_level(i, make);
  return there ? there + (hash & (words(i) / BUCKET - 1)) * BUCKET : NULL;
}

void rf_stacks_fetch(uint64_t key) {
  uint64_t hash = hash_of(key);
  if (!get_level(FAR_LEVEL, false)) return;
  for (unsigned i = FAR_LEVEL - 1; i < LEVELS; i++) {
    const uint64_t *bucket = bucket_of(i, hash, false);
    if (!bucket) return;
    __builtin_prefetch(bucket);
  }
}

rf_ref rf_stacks_node(rf_ref parent, uint64_t key, uintptr_t address) {
  uint64_t hash = hash_of(key);
  rf_ref fresh = 0, found = 0;
  for (unsigned i = 0; i < LEVELS && !found; i++) {
    uint64_t *bucket = bucket_of(i, hash, true);
    if (!bucket) return 0;
    found = in_bucket(bucket, hash, parent, address, &fresh);
  }
  return found;
}
