/*
 * What the app's allocator says of itself, asked once at the end: glibc's mallinfo2, jemalloc's statistics.
 *
 * Asking takes the allocator's locks and walks its lists. The process may end in a signal handler that
 * interrupted malloc, with another thread stopped inside it, or with a heap that the app has spoilt. So a
 * copy of the process asks (a clone without CLONE_VM, told to nobody), and is killed when it takes too long;
 * whatever becomes of it, nothing happens here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What explains resident memory. */
struct rf_heap_figures {
  bool known;
  uint64_t mapped_blocks_bytes; /* of live blocks that have mappings of their own */
};

/* Tells the recording heap.allocator.*, or why there is nothing. resident_bytes: of the process. Not
 * signal-safe. Cost: that of a fork, 0.1 to 0.3 ms and some 50 ms a GiB. */
struct rf_heap_figures rf_heap_tell_figures(uint64_t resident_bytes);
