/*
 * The malloc family, interposed. Each function serves the app from its own allocator and counts what happened
 * on the calling thread; sizes are read before a block is given back, since another thread may get its
 * address at once.
 *
 * While Refunc itself runs on a thread (rf_tls.internal), what libc allocates on its behalf comes from
 * Refunc's heap; such blocks are told by their address, whoever frees them and whenever.
 */
#include <errno.h>
#include <stdint.h>

#include "base/memory.h"
#include "base/thread.h"
#include "heap/allocator.h"
#include "heap/counters.h"
#include "preload/export.h"
#include "validate/memory.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

static inline void *counted(void *block, size_t requested) {
  struct rf_thread *thread = rf_heap_thread();
  if (UNLIKELY(!block)) {
    if (thread) rf_local_add(&thread->heap->failed_calls, 1);
  } else if (LIKELY(thread)) {
    rf_heap_count_alloc(thread, block, requested, rf_app_usable_size(block));
  } else if (!rf_heap_off) {
    rf_heap_count_early(1, requested, rf_app_usable_size(block));
  }
  return block;
}

EXPORT void *malloc(size_t bytes) {
  if (UNLIKELY(rf_tls.internal)) return rf_malloc(bytes);
  return counted(rf_app.malloc(bytes), bytes);
}

EXPORT void *calloc(size_t count, size_t bytes) {
  if (UNLIKELY(rf_tls.internal)) return rf_calloc(count, bytes);
  return counted(rf_app.calloc(count, bytes), count * bytes);
}

EXPORT void free(void *block) {
  if (!block) return;
  if (UNLIKELY(rf_owns(block))) {
    rf_free(block);
    return;
  }
  struct rf_thread *thread = rf_heap_thread();
  if (LIKELY(thread)) {
    size_t usable = rf_app_usable_size(block);
    if (UNLIKELY(rf_track_maybe(block))) rf_track_free(thread, block, rf_track_take(block), usable);
    rf_heap_count_free(thread, usable);
    if (UNLIKELY(usable >= RF_MEMORY_LARGE)) {
      rf_app.free(block);
      rf_memory_changed();
      return;
    }
  } else if (!rf_heap_off) {
    rf_heap_count_early(-1, 0, rf_app_usable_size(block));
  }
  rf_app.free(block);
}

/* A block of Refunc's heap stays in it; the app neither knows nor minds. */
static void *realloc_own(void *block, size_t bytes) {
  if (bytes) return rf_realloc(block, bytes);
  rf_free(block);
  return NULL;
}

/* Both of a realloc's sides, once it is known that the old block is gone. */
static void count_realloc(struct rf_thread *thread, void *block, size_t before, uint64_t word, void *moved,
                          size_t bytes) {
  if (block) {
    if (word) rf_track_free(thread, block, word, before);
    rf_heap_count_free(thread, before);
  }
  if (moved) rf_heap_count_alloc(thread, moved, bytes, rf_app_usable_size(moved));
  if (block && moved) rf_local_add(&thread->heap->realloc_calls, 1);
}

EXPORT void *realloc(void *block, size_t bytes) {
  if (UNLIKELY(block ? rf_owns(block) : rf_tls.internal != 0))
    return block ? realloc_own(block, bytes) : rf_malloc(bytes);
  if (!block) return counted(rf_app.realloc(NULL, bytes), bytes);
  if (rf_heap_off) return rf_app.realloc(block, bytes);
  struct rf_thread *thread = rf_heap_thread();
  size_t before = rf_app_usable_size(block);
  uint64_t word = thread && rf_track_maybe(block) ? rf_track_take_to_move(thread, block) : 0;
  void *moved = rf_app.realloc(block, bytes);
  bool gone = moved || !bytes; /* realloc(p, 0) that answers NULL has freed p */
  if (UNLIKELY(!thread)) {
    if (gone) rf_heap_count_early(-1, 0, before);
    if (moved) rf_heap_count_early(1, bytes, rf_app_usable_size(moved));
  } else if (gone) {
    count_realloc(thread, block, before, word, moved, bytes);
  } else {
    rf_track_put_back(block, word);
    rf_local_add(&thread->heap->failed_calls, 1);
  }
  if (word) rf_track_moved(thread);
  return moved;
}

EXPORT void *memalign(size_t alignment, size_t bytes) {
  if (UNLIKELY(rf_tls.internal)) return rf_memalign(alignment, bytes);
  return counted(rf_app.memalign(alignment, bytes), bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t bytes) {
  if (UNLIKELY(rf_tls.internal)) return rf_memalign(alignment, bytes);
  return counted(rf_app.aligned_alloc(alignment, bytes), bytes);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t bytes) {
  if (UNLIKELY(rf_tls.internal)) {
    void *own = rf_memalign(alignment, bytes);
    if (own) *block = own;
    return own ? 0 : ENOMEM;
  }
  int failed = rf_app.posix_memalign(block, alignment, bytes);
  if (!failed) counted(*block, bytes);
  return failed;
}

EXPORT void *valloc(size_t bytes) { return counted(rf_app.valloc(bytes), bytes); }
EXPORT void *pvalloc(size_t bytes) { return counted(rf_app.pvalloc(bytes), bytes); }
EXPORT void free_sized(void *block, size_t bytes) {
  (void)bytes;
  free(block);
}
EXPORT void free_aligned_sized(void *block, size_t alignment, size_t bytes) {
  (void)alignment, (void)bytes;
  free(block);
}

EXPORT size_t malloc_usable_size(void *block) {
  if (!block) return 0;
  return UNLIKELY(rf_owns(block)) ? rf_usable_size(block) : rf_app.usable_size(block);
}
