/* Memory for a thread's last stack (last_stack.c): one mapping, its arrays side by side. */
#include "base/memory.h"
#include "unwind/walk.h"

void rf_unwind_forget(struct rf_unwind_cache *cache) {
  cache->first = cache->from = cache->capacity;
  cache->first_read = cache->reads_capacity;
  cache->complete = cache->limited = false;
}

void rf_unwind_cache_reset(struct rf_unwind_cache *cache) {
  rf_unwind_forget(cache);
  memset(cache->windows, 0, sizeof cache->windows);
  cache->busy = cache->cut = false;
  cache->want_full = false;
  cache->reused = 0;
}

static void *carve(char **from, size_t bytes) {
  void *start = *from;
  *from += (bytes + 63) & ~(size_t)63;
  return start;
}

void rf_unwind_cache_show(struct rf_unwind_cache *cache) { cache->show = true; }

struct rf_unwind_cache *rf_unwind_cache_new(size_t depth) {
  if (depth < 8) depth = 8;
  if (depth > 1 << 14) depth = 1 << 14;
  size_t capacity = depth + depth / 2, reads = 3 * capacity + READS_MAX, log = 2 * capacity + READS_MAX;
  size_t frame_bytes = 3 * sizeof(uintptr_t) + sizeof(struct old) + sizeof(struct step);
  size_t bytes = sizeof(struct rf_unwind_cache) + capacity * frame_bytes +
                 reads * sizeof(struct rf_unwind_read) + log * sizeof(struct log_entry) + 64 * 10;
  char *memory = rf_pages(bytes);
  if (!memory) return NULL;
  struct rf_unwind_cache *cache = carve(&memory, sizeof *cache);
  *cache = (struct rf_unwind_cache){.depth = (uint32_t)depth, .capacity = (uint32_t)capacity, .bytes = bytes};
  cache->reads_capacity = (uint32_t)reads;
  cache->pc = carve(&memory, capacity * sizeof(uintptr_t));
  cache->slot = carve(&memory, capacity * sizeof(uintptr_t));
  cache->sp = carve(&memory, capacity * sizeof(uintptr_t));
  cache->old = carve(&memory, capacity * sizeof(struct old));
  cache->reads = carve(&memory, reads * sizeof(struct rf_unwind_read));
  cache->steps = carve(&memory, capacity * sizeof(struct step));
  cache->log = carve(&memory, log * sizeof(struct log_entry));
  rf_unwind_cache_reset(cache);
  return cache;
}

void rf_unwind_cache_free(struct rf_unwind_cache *cache) {
  if (cache) rf_pages_free(cache, cache->bytes);
}

size_t rf_unwind_reused(const struct rf_unwind_cache *cache) { return cache->reused; }
void rf_unwind_cache_lean(struct rf_unwind_cache *cache) { cache->lean = true; }
