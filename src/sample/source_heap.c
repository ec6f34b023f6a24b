/* Live heap bytes, as the heap's counters in the recording have them: what the threads folded into the
 * header, and the rest that each still holds. NaN while nothing was counted (heap.mode=off). */
#include "recording/writer.h"
#include "sample/reading.h"

#define THREADS 4096 /* entries that are looked at a tick */

static void read_heap(struct rf_reading *r) {
  int64_t live = (int64_t)__atomic_load_n(&r->header->heap_folded_bytes, __ATOMIC_RELAXED);
  bool counted = false;
  uint32_t seen = 0;
  const struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_THREAD));
  for (; chunk && seen < THREADS; chunk = rf_recording_at(chunk->next)) {
    const char *entry = (const char *)(chunk + 1);
    uint32_t count = __atomic_load_n(&chunk->count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count; i++, seen++, entry += chunk->entry_bytes) {
      const struct rf_thread_entry *thread = (const struct rf_thread_entry *)entry;
      live += (int64_t)(thread->heap.alloc_bytes - thread->heap.free_bytes) - thread->heap_folded;
      counted |= thread->heap.alloc_calls != 0;
    }
  }
  if (counted) rf_reading_set(r, RF_METRIC_HEAP_LIVE, live > 0 ? (double)live : 0);
}

const struct rf_source rf_source_heap = {.name = "system.timeline", .read = read_heap};
