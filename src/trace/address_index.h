/*
 * From a function's address to its id: an open hash table. Entries are never taken out; one that has become
 * wrong is told by its function, which lies elsewhere now. Under the lock of ids.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_address_index {
  struct rf_address_entry {
    uintptr_t address; /* 0: free */
    uint32_t id;
  } * entry;
  uint32_t size, used; /* size: a power of two, or 0 */
};

/* Replaces what address led to. False without memory. */
bool rf_address_index_put(struct rf_address_index *index, uintptr_t address, uint32_t id);
/* UINT32_MAX: it was never put. */
uint32_t rf_address_index_find(const struct rf_address_index *index, uintptr_t address);
