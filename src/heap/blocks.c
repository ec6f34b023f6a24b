/* See blocks.h. */
#include "heap/blocks.h"

#include <stddef.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/memory.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ROOT_BITS 14
#define BRANCH_BITS 13
#define LEAF_BITS 20

struct branch {
  uint64_t *leaf[1 << BRANCH_BITS];
};

static struct branch **root; /* wiped in a forked child */
static unsigned granule;

bool rf_blocks_start(unsigned granule_bits) {
  size_t bytes = sizeof *root << ROOT_BITS;
  granule = granule_bits;
  if (!root) root = rf_pages(bytes);
  if (root) rf_syscall(SYS_madvise, root, bytes, MADV_WIPEONFORK);
  return root != NULL;
}

/* What *place points to, made where it is missing; another thread may be faster. */
static void *made(void **place, size_t bytes) {
  void *fresh = rf_pages(bytes), *there = NULL;
  if (!fresh) return NULL;
  rf_syscall(SYS_madvise, fresh, bytes, MADV_DONTFORK);
  if (__atomic_compare_exchange_n(place, &there, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
    return fresh;
  rf_pages_free(fresh, bytes);
  return there;
}

static size_t leaf_bytes(void) { return sizeof(uint64_t) << (LEAF_BITS - granule); }

static struct branch **branch_of(uintptr_t at) { return &root[at >> (BRANCH_BITS + LEAF_BITS)]; }

static uint64_t **leaf_of(struct branch *branch, uintptr_t at) {
  return &branch->leaf[at >> LEAF_BITS & ((1 << BRANCH_BITS) - 1)];
}

static uint64_t *word_in(uint64_t *leaf, uintptr_t at) {
  return &leaf[(at & ((1u << LEAF_BITS) - 1)) >> granule];
}

static __attribute__((noinline)) uint64_t *new_word(uintptr_t at) {
  struct branch **branches = branch_of(at), *branch = __atomic_load_n(branches, __ATOMIC_ACQUIRE);
  if (!branch && !(branch = made((void **)branches, sizeof *branch))) return NULL;
  uint64_t **leaves = leaf_of(branch, at), *leaf = __atomic_load_n(leaves, __ATOMIC_ACQUIRE);
  if (!leaf && !(leaf = made((void **)leaves, leaf_bytes()))) return NULL;
  return word_in(leaf, at);
}

uint64_t *rf_blocks_word(const void *block, bool make) {
  uintptr_t at = (uintptr_t)block;
  if (UNLIKELY(at >> (ROOT_BITS + BRANCH_BITS + LEAF_BITS) || !root)) return NULL;
  struct branch *branch = __atomic_load_n(branch_of(at), __ATOMIC_ACQUIRE);
  uint64_t *leaf = LIKELY(branch) ? __atomic_load_n(leaf_of(branch, at), __ATOMIC_ACQUIRE) : NULL;
  if (LIKELY(leaf)) return word_in(leaf, at);
  return make ? new_word(at) : NULL;
}

static void visit_leaf(const uint64_t *leaf, uintptr_t start, void (*visit)(void *, uintptr_t, uint64_t),
                       void *user) {
  for (size_t i = 0; i < leaf_bytes() / sizeof *leaf; i++) {
    uint64_t word = __atomic_load_n(&leaf[i], __ATOMIC_RELAXED);
    uintptr_t half = granule == 5 ? (word & 1) << 4 : 0;
    if (word) visit(user, start + (i << granule) + half, word);
  }
}

void rf_blocks_visit(void (*visit)(void *user, uintptr_t block, uint64_t word), void *user) {
  for (uintptr_t i = 0; root && i < 1 << ROOT_BITS; i++) {
    struct branch *branch = __atomic_load_n(&root[i], __ATOMIC_ACQUIRE);
    for (uintptr_t j = 0; branch && j < 1 << BRANCH_BITS; j++) {
      uint64_t *leaf = __atomic_load_n(&branch->leaf[j], __ATOMIC_ACQUIRE);
      if (leaf) visit_leaf(leaf, (i << BRANCH_BITS | j) << LEAF_BITS, visit, user);
    }
  }
}
