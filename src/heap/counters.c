/* See counters.h. */
#include "heap/counters.h"

#include "heap/jemalloc.h"
#include "heap/track.h"
#include "recording/thread_heap.h"
#include "recording/threads.h"
#include "recording/writer.h"

bool rf_heap_off;
static bool started;
static struct rf_heap_counters homeless; /* counted before a thread's sums could be had */
static int64_t folded;                   /* the header's sum, which a forked child does not find any more */

/* ---- the process's sum and its peak ---- */

static void publish(int64_t candidate) {
  struct rf_header *header = rf_recording_header();
  int64_t peak = __atomic_load_n((int64_t *)&header->heap_peak_bytes, __ATOMIC_RELAXED);
  while (candidate > peak)
    if (__atomic_compare_exchange_n((int64_t *)&header->heap_peak_bytes, &peak, candidate, true,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
      __atomic_fetch_add(&header->heap_peak_epoch, 1, __ATOMIC_RELAXED);
      rf_jemalloc_at_peak(candidate);
      return;
    }
}

/* The peak is taken before the thread's current rest goes in: its own highest value on top of what the others
 * had. */
void rf_heap_fold(struct rf_thread *thread) {
  struct rf_header *header = rf_recording_header();
  struct rf_thread_entry *entry = thread->entry;
  int64_t live = rf_thread_live(thread), rest = live - entry->heap_folded;
  int64_t highest = entry->heap_high > live ? entry->heap_high - entry->heap_folded : rest;
  entry->heap_folded = live;
  entry->heap_high = live;
  int64_t before = __atomic_fetch_add((int64_t *)&header->heap_folded_bytes, rest, __ATOMIC_RELAXED);
  __atomic_store_n(&folded, before + rest, __ATOMIC_RELAXED);
  publish(before + highest);
  thread->heap_floor = live - RF_HEAP_FOLD_BYTES;
  rf_thread_watch(thread);
}

/* With sites, each new peak of a process with one thread is told at once, so that they know what they held at
 * it. */
static bool tells_at_once(const struct rf_thread *thread) {
  return rf_track_mode && rf_threads_first() == thread && !thread->next;
}

void rf_heap_rise(struct rf_thread *thread) {
  struct rf_thread_entry *entry = thread->entry;
  int64_t live = rf_thread_live(thread);
  if (live > entry->heap_high) entry->heap_high = live;
  if (live > thread->heap_high) thread->heap_high = live;
  rf_thread_watch(thread);
  if (live - entry->heap_folded > RF_HEAP_FOLD_BYTES)
    rf_heap_fold(thread);
  else if (tells_at_once(thread))
    publish((int64_t)rf_recording_header()->heap_folded_bytes + live - entry->heap_folded);
}

/* ---- threads ---- */

static void prepare(struct rf_thread *thread) {
  int64_t live = rf_thread_live(thread);
  if (!thread->heap_floor) {
    thread->entry->heap_folded = thread->entry->heap_high = thread->heap_high = live;
    thread->heap_floor = live - RF_HEAP_FOLD_BYTES;
    rf_thread_watch(thread);
  }
  thread->heap_next = rf_track_thread(thread);
  thread->heap = &thread->entry->heap;
}

struct rf_thread *rf_heap_new_thread(void) {
  if (!started || rf_tls.internal) return NULL;
  struct rf_thread *thread = rf_thread_get();
  if (!thread || !thread->entry) return NULL;
  if (!thread->heap) prepare(thread);
  return thread;
}

void rf_heap_count_early(int64_t calls, size_t requested, size_t usable) {
  if (rf_heap_off) return;
  bool alloc = calls > 0;
  __atomic_fetch_add(alloc ? &homeless.alloc_calls : &homeless.free_calls, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(alloc ? &homeless.alloc_bytes : &homeless.free_bytes, usable, __ATOMIC_RELAXED);
  if (!alloc) return;
  __atomic_fetch_add(&homeless.requested_bytes, requested, __ATOMIC_RELAXED);
  __atomic_fetch_add(&homeless.size_class[rf_heap_class(requested)], 1, __ATOMIC_RELAXED);
}

void rf_heap_settle(void) {
  struct rf_thread *thread = rf_tls.self;
  if (rf_heap_off || !started || !thread || !thread->entry) return;
  uint64_t *to = (uint64_t *)&thread->entry->heap, *from = (uint64_t *)&homeless;
  for (size_t i = 0; i < sizeof homeless / sizeof *to; i++)
    rf_local_add(&to[i], __atomic_exchange_n(&from[i], 0, __ATOMIC_RELAXED));
  if (thread->heap) rf_heap_rise(thread);
}

void rf_heap_start(bool counting) {
  started = true;
  rf_heap_off = !counting;
  rf_heap_settle();
}

/* ---- forks ---- */

static int64_t inherited_bytes, inherited_blocks;

static void sum_live(int64_t *bytes, int64_t *blocks) {
  const struct rf_header *header = rf_recording_header();
  *bytes = (int64_t)header->inherited_live_bytes;
  *blocks = (int64_t)header->inherited_live_blocks;
  for (const struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next) {
    const struct rf_heap_counters *heap = &thread->entry->heap;
    *bytes += (int64_t)(heap->alloc_bytes - heap->free_bytes);
    *blocks += (int64_t)(heap->alloc_calls - heap->free_calls);
  }
}

int64_t rf_heap_live_bytes(void) {
  int64_t bytes, blocks;
  sum_live(&bytes, &blocks);
  return bytes;
}

void rf_heap_before_fork(void) {
  inherited_bytes = inherited_blocks = 0;
  if (!rf_heap_off && started && rf_recording_header()) sum_live(&inherited_bytes, &inherited_blocks);
}

void rf_heap_inherit(void) {
  struct rf_header *header = rf_recording_header();
  rf_jemalloc_begin_again();
  if (rf_heap_off || !started || !header) return;
  int64_t bytes = inherited_bytes ? inherited_bytes : folded; /* a raw clone: what threads had told by then */
  if (bytes < 0) bytes = 0;
  header->inherited_live_bytes = header->heap_folded_bytes = header->heap_peak_bytes = (uint64_t)bytes;
  header->inherited_live_blocks = (uint64_t)(inherited_blocks > 0 ? inherited_blocks : 0);
}
