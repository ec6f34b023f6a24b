/* Rules over many elements at once, with vector registers: called with the app's saved
 * (rf_with_vectors_saved). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Elements in [low, high] (keys as of number.h; a double's for floats too), or outside of it. kind: enum
 * rf_number_kind. */
struct rf_array_query {
  const void *data;
  size_t count, first_bad; /* first_bad: the answer; count where all are good */
  int64_t low, high;
  uint8_t kind, size;
};

/* Cost: for doubles about 1 ns for 4 elements in the cache, memory's speed otherwise. */
void rf_array_search(struct rf_array_query *query);
