/*
 * Room of the recording for who can't afford the whole way to it (writer.h), which may have to grow the file: the
 * end of a timed call, on the app's stack, with the app's vector registers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recording/format.h"

/* Zeroed bytes, a multiple of 64, of what is mapped of the running process's recording; NULL: there are not so many
 * left. General registers only, signal-safe. Cost: one compare-and-swap. */
static inline void *rf_claim_mapped(struct rf_header *header, uint64_t bytes) {
  uint64_t used = __atomic_load_n(&header->used_bytes, __ATOMIC_RELAXED), start;
  do {
    start = (used + 63) & ~(uint64_t)63;
    if (start + bytes > __atomic_load_n(&header->reserved_bytes, __ATOMIC_ACQUIRE)) return NULL;
  } while (!__atomic_compare_exchange_n(&header->used_bytes, &used, start + bytes, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED));
  return (char *)header + start;
}
