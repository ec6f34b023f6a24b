/* Arrays that grow, in Refunc's own heap, and their order. */
#pragma once

#include <stdlib.h>

#include "base/memory.h"
#include "base/thread.h"

/* array with room for one element more than count, of size bytes each: as it was, or moved to twice the room;
 * NULL without memory, and then it is as it was. */
static inline void *rf_grow(void *array, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity) return array;
  size_t wanted = *capacity ? *capacity * 2 : 256;
  void *grown = rf_realloc(array, wanted * size);
  if (grown) *capacity = wanted;
  return grown;
}

/* libc sorts large arrays in memory that it allocates: from Refunc's heap, as for everything it does for us.
 */
static inline void rf_sort(void *base, size_t count, size_t size,
                           int (*compare)(const void *, const void *)) {
  rf_internal_enter();
  qsort(base, count, size, compare);
  rf_internal_leave();
}
