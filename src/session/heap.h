/* The session's part in the heap: what its options ask of src/heap, and what the recording says of it. */
#pragma once

#include <stdbool.h>

struct rf_options;

/* Learns which allocator serves the app, and hooks one that a preload does not come by (dry: only learns).
 * Before functions are patched for timing: what is hooked may be timed, too. */
void rf_session_find_allocators(const struct rf_options *options, bool dry);
/* Starts counting or tracking, and records what is not seen. no_jemalloc: why the app is not served from
 * jemalloc though it should be; empty: it is, or need not. */
void rf_session_start_heap(const struct rf_options *options, const char *no_jemalloc);
/* Once more for a forked child's recording. */
void rf_session_record_heap(const struct rf_options *options, const char *no_jemalloc);
/* Whether allocations are counted. */
bool rf_session_heap_counts(const struct rf_options *options);
/* At the end: what resident memory consists of, and the leak check. Takes milliseconds to seconds. */
void rf_session_look_at_heap(const struct rf_options *options);
