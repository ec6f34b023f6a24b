/* See counters.h. */
#include "heap/counters.h"

#include "recording/writer.h"

bool rf_heap_counting;

void rf_heap_start(bool counting) { rf_heap_counting = counting; }

/* The peak is taken before the thread's current rest goes in: its own highest value on top of what the others had. */
void rf_heap_fold(struct rf_thread *thread) {
  struct rf_header *header = rf_recording_header();
  struct rf_thread_entry *entry = thread->entry;
  int64_t rest = entry->heap_unfolded_bytes, highest = entry->heap_unfolded_max;
  entry->heap_unfolded_bytes = 0;
  entry->heap_unfolded_max = 0;
  int64_t before = __atomic_fetch_add((int64_t *)&header->heap_folded_bytes, rest, __ATOMIC_RELAXED);
  int64_t candidate = before + highest;
  int64_t peak = __atomic_load_n((int64_t *)&header->heap_peak_bytes, __ATOMIC_RELAXED);
  while (candidate > peak && !__atomic_compare_exchange_n((int64_t *)&header->heap_peak_bytes, &peak, candidate, true,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}
