/* See explain.h. */
#include "heap/explain.h"

#include <stdio.h>
#include <string.h>

#include "heap/allocator.h"
#include "heap/figures.h"
#include "heap/jemalloc.h"
#include "heap/smaps.h"
#include "recording/threads.h"
#include "recording/writer.h"

#define ARENA_BYTES ((uintptr_t)64 << 20) /* glibc's arenas beside the main one begin at multiples of it */

struct sums {
  uint64_t arenas, stacks, files, own, anonymous;
};

static bool is_stack(const struct rf_mapping *mapping) {
  if (!strcmp(mapping->name, "[stack]")) return true;
  for (const struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next)
    if (thread->stack_high > mapping->start && thread->stack_high <= mapping->end &&
        thread->stack_low < thread->stack_high)
      return true;
  return false;
}

static bool is_arena(const struct rf_mapping *mapping) {
  if (rf_jemalloc_holds((const void *)mapping->start)) return true;
  if (!strcmp(mapping->name, "[heap]")) return true;
  return rf_app.glibc && mapping->start % ARENA_BYTES == 0 && mapping->writable && !mapping->name[0];
}

static void add(void *user, const struct rf_mapping *mapping) {
  struct sums *sums = user;
  if (mapping->own)
    sums->own += mapping->rss_bytes;
  else if (mapping->file)
    sums->files += mapping->rss_bytes;
  else if (is_stack(mapping))
    sums->stacks += mapping->rss_bytes;
  else if (is_arena(mapping))
    sums->arenas += mapping->rss_bytes;
  else
    sums->anonymous += mapping->rss_bytes;
}

static void tell(const char *key, uint64_t bytes) {
  char text[32];
  snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
  rf_record_fact(key, text);
}

void rf_heap_explain(int64_t live_bytes) {
  struct sums sums = {0};
  if (!rf_smaps_visit(add, &sums)) {
    rf_record_unavailable("heap.rss", "/proc/self/smaps can't be read");
    return;
  }
  uint64_t all = sums.arenas + sums.anonymous, live = live_bytes > 0 ? (uint64_t)live_bytes : 0;
  struct rf_heap_figures figures = rf_heap_tell_figures(all + sums.stacks + sums.files + sums.own);
  uint64_t apart = figures.mapped_blocks_bytes < live ? figures.mapped_blocks_bytes : live;
  uint64_t heap = live < all ? live : all,
           slack = sums.arenas > live - apart ? sums.arenas - (live - apart) : 0;
  if (heap + slack > all) heap = all - slack;
  tell("heap.rss.heap_bytes", heap);
  tell("heap.rss.slack_bytes", slack);
  tell("heap.rss.thread_stack_bytes", sums.stacks);
  tell("heap.rss.file_bytes", sums.files);
  tell("heap.rss.anonymous_bytes", all - heap - slack);
  tell("heap.rss.refunc_bytes", sums.own);
}
