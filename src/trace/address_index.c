/* See address_index.h. */
#include "trace/address_index.h"

#include "base/memory.h"

#define LEAST 1024u

/* The entry of address, or the free one where it belongs; some entry is always free. */
static struct rf_address_entry *place(const struct rf_address_index *index, uintptr_t address) {
  uint32_t at = (uint32_t)((uint64_t)address * 0x9e3779b97f4a7c15u >> 32);
  for (;; at++) {
    struct rf_address_entry *entry = &index->entry[at & (index->size - 1)];
    if (!entry->address || entry->address == address) return entry;
  }
}

static bool grow(struct rf_address_index *index) {
  struct rf_address_index larger = {.size = index->size ? 2 * index->size : LEAST, .used = index->used};
  larger.entry = rf_calloc(larger.size, sizeof *larger.entry);
  if (!larger.entry) return false;
  for (uint32_t i = 0; i < index->size; i++)
    if (index->entry[i].address) *place(&larger, index->entry[i].address) = index->entry[i];
  rf_free(index->entry);
  *index = larger;
  return true;
}

bool rf_address_index_put(struct rf_address_index *index, uintptr_t address, uint32_t id) {
  if (2 * (index->used + 1) > index->size && !grow(index)) return false;
  struct rf_address_entry *entry = place(index, address);
  index->used += !entry->address;
  *entry = (struct rf_address_entry){address, id};
  return true;
}

uint32_t rf_address_index_find(const struct rf_address_index *index, uintptr_t address) {
  if (!index->size) return UINT32_MAX;
  const struct rf_address_entry *entry = place(index, address);
  return entry->address ? entry->id : UINT32_MAX;
}
