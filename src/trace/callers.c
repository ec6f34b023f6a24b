/*
 * See callers.h. In front of the binary search lies a direct-mapped cache, an 8-byte word an entry, so that a
 * racing reader sees an entry whole or not at all: the address without its low bits (which are the index) and
 * the id.
 */
#include "trace/callers.h"

#define CACHE_BITS 12
#define ID_BITS 20

struct table {
  const struct rf_code_range *ranges;
  size_t count;
};

static struct table tables[2]; /* one is read, the other written */
static uint32_t current;
static uint64_t cache[1 << CACHE_BITS];

void rf_callers_publish(const struct rf_code_range *ranges, size_t count) {
  uint32_t next = !__atomic_load_n(&current, __ATOMIC_RELAXED);
  tables[next] = (struct table){ranges, count};
  __atomic_store_n(&current, next, __ATOMIC_RELEASE);
  for (size_t i = 0; i < sizeof cache / sizeof *cache; i++) __atomic_store_n(&cache[i], 0, __ATOMIC_RELAXED);
}

static uint32_t search(uintptr_t address) {
  const struct table *table = &tables[__atomic_load_n(&current, __ATOMIC_ACQUIRE)];
  size_t low = 0, high = table->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (table->ranges[middle].start < address)
      low = middle + 1;
    else
      high = middle;
  }
  /* a call may be a function's last instruction: its return address is the byte behind it */
  return low && address <= table->ranges[low - 1].end ? table->ranges[low - 1].id : RF_NO_CALLER;
}

uint32_t rf_caller_at(uintptr_t return_address) {
  uint64_t *entry = &cache[return_address & ((1 << CACHE_BITS) - 1)];
  uint64_t key = (uint64_t)(return_address >> CACHE_BITS) + 1,
           word = __atomic_load_n(entry, __ATOMIC_RELAXED);
  if (word >> ID_BITS == key) return (uint32_t)(word & ((1u << ID_BITS) - 1));
  uint32_t id = search(return_address);
  __atomic_store_n(entry, key << ID_BITS | id, __ATOMIC_RELAXED);
  return id;
}
