/*
 * What hooked allocator functions come to (heap/foreign.h): their body, and the counting that the interposed
 * functions do (malloc.c). id: the hook's number. Exceptions pass: operator new may throw.
 */
#include <errno.h>

#include "arch/entry.h"
#include "base/memory.h"
#include "base/thread.h"
#include "heap/counters.h"
#include "heap/foreign.h"
#include "heap/jemalloc.h"
#include "preload/export.h"
#include "validate/memory.h"

#define UNLIKELY(x) __builtin_expect(!!(x), 0)

typedef uintptr_t body(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e);
#define BODY(hook) (((body *)(hook)->body)(a, b, c, d, e))

/* Called by one of our own functions, or by Refunc itself: these count, or nobody does. */
static inline bool silent(void) { return UNLIKELY(rf_heap_off || rf_tls.allocating || rf_tls.internal); }

static inline uint64_t allocs_of(const struct rf_thread *thread) {
  return thread ? thread->heap->alloc_calls : 0;
}
static inline uint64_t frees_of(const struct rf_thread *thread) {
  return thread ? thread->heap->free_calls : 0;
}

/* It may allocate the first time (tcmalloc's does). */
static size_t usable_size(const struct rf_hook *hook, void *block) {
  rf_tls.allocating++;
  size_t bytes = hook->usable_size(block);
  rf_tls.allocating--;
  return bytes;
}

static size_t requested(const struct rf_hook *hook, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d,
                        size_t usable) {
  switch (hook->size) {
  case RF_SIZE_0: return a;
  case RF_SIZE_1: return b;
  case RF_SIZE_2: return c;
  case RF_SIZE_0_TIMES_1: return a * b;
  case RF_SIZE_1_TIMES_2: return b * c;
  case RF_SIZE_2_TIMES_3: return c * d;
  default: return usable;
  }
}

/* before: the thread's calls before the body. If they have risen, the function within has counted. */
static void count_new(struct rf_thread *thread, uint64_t before, void *block, size_t bytes, size_t usable) {
  if (!thread)
    rf_heap_count_early(1, bytes, usable);
  else if (thread->heap->alloc_calls == before)
    rf_heap_count_alloc(thread, block, bytes, usable);
}

static void count_gone(struct rf_thread *thread, uint64_t before, size_t usable) {
  if (!thread)
    rf_heap_count_early(-1, 0, usable);
  else if (thread->heap->free_calls == before)
    rf_heap_count_free(thread, usable);
}

void *rf_hooked_alloc(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id) {
  const struct rf_hook *hook = &rf_hooks[id];
  if (silent()) return (void *)BODY(hook);
  struct rf_thread *thread = rf_heap_thread();
  uint64_t before = allocs_of(thread);
  void *block = (void *)BODY(hook);
  if (block) {
    size_t usable = usable_size(hook, block);
    count_new(thread, before, block, requested(hook, a, b, c, d, usable), usable);
  } else if (thread) {
    rf_local_add(&thread->heap->failed_calls, 1);
  }
  return block;
}

int rf_hooked_placed(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id) {
  const struct rf_hook *hook = &rf_hooks[id];
  if (silent()) return (int)BODY(hook);
  struct rf_thread *thread = rf_heap_thread();
  uint64_t before = allocs_of(thread);
  int failed = (int)BODY(hook);
  void *block = failed ? NULL : *(void **)a;
  if (block) {
    size_t usable = usable_size(hook, block);
    count_new(thread, before, block, requested(hook, a, b, c, d, usable), usable);
  }
  return failed;
}

uintptr_t rf_hooked_free(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id) {
  const struct rf_hook *hook = &rf_hooks[id];
  void *block = (void *)a;
  if (rf_owns(block)) return rf_free(block), 0;
  if (!block || silent()) return BODY(hook);
  struct rf_thread *thread = rf_heap_thread();
  uint64_t before = frees_of(thread);
  size_t usable = usable_size(hook, block);
  uint64_t word = thread && rf_track_maybe(block) ? rf_track_take(block) : 0;
  uintptr_t result = BODY(hook);
  if (word) rf_track_free(thread, block, word, usable);
  count_gone(thread, before, usable);
  if (UNLIKELY(usable >= RF_MEMORY_LARGE)) rf_memory_changed();
  return result;
}

static void *realloc_own(void *block, size_t bytes) {
  if (bytes) return rf_realloc(block, bytes);
  rf_free(block);
  return NULL;
}

void *rf_hooked_realloc(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id) {
  const struct rf_hook *hook = &rf_hooks[id];
  void *block = (void *)(hook->block ? b : a);
  size_t bytes = requested(hook, a, b, c, d, 0);
  if (block && rf_owns(block)) return realloc_own(block, bytes);
  if (!block) return rf_hooked_alloc(a, b, c, d, e, id);
  if (silent()) return (void *)BODY(hook);
  struct rf_thread *thread = rf_heap_thread();
  uint64_t allocs = allocs_of(thread), frees = frees_of(thread);
  size_t usable = usable_size(hook, block);
  uint64_t word = thread && rf_track_maybe(block) ? rf_track_take_to_move(thread, block) : 0;
  void *moved = (void *)BODY(hook);
  bool gone = moved || !bytes;
  if (word && gone)
    rf_track_free(thread, block, word, usable);
  else if (word)
    rf_track_put_back(block, word);
  if (gone) count_gone(thread, frees, usable);
  if (moved) count_new(thread, allocs, moved, bytes, usable_size(hook, moved));
  if (word) rf_track_moved(thread);
  if (thread) rf_local_add(gone ? &thread->heap->realloc_calls : &thread->heap->failed_calls, 1);
  return moved;
}

/* The block stays where it is; where its size changes, it is another block for the books. */
uintptr_t rf_hooked_resize(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id) {
  const struct rf_hook *hook = &rf_hooks[id];
  void *block = (void *)a;
  if (silent() || !block) return BODY(hook);
  struct rf_thread *thread = rf_heap_thread();
  size_t before = usable_size(hook, block);
  uintptr_t result = BODY(hook);
  size_t after = usable_size(hook, block);
  if (!thread || before == after) return result;
  uint64_t word = rf_track_maybe(block) ? rf_track_take(block) : 0;
  if (word) rf_track_free(thread, block, word, before);
  rf_heap_count_free(thread, before);
  rf_heap_count_alloc(thread, block, b, after);
  return result;
}

/* glibc's own, while jemalloc serves. */
uintptr_t rf_hooked_back(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id) {
  const struct rf_hook *hook = &rf_hooks[id];
  void *block = (void *)a;
  if (!rf_jemalloc_holds(block) && !rf_owns(block)) return BODY(hook);
  switch ((enum rf_hook_back)hook->size) {
  case RF_BACK_REALLOC: return (uintptr_t)realloc(block, b);
  case RF_BACK_USABLE_SIZE: return malloc_usable_size(block);
  default: free(block); return 0;
  }
}
