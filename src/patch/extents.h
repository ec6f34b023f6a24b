/* Where a module's functions lie: arrays of extents, sorted by address. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rf_extent {
  uintptr_t address, size;
};

/* The index of the first one at address or behind it; count: there is none. */
static inline size_t rf_extent_from(const struct rf_extent *extents, size_t count, uintptr_t address) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (extents[middle].address < address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}
