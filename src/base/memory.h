/*
 * Refunc's own memory: never the app's heap. A small general-purpose heap (power-of-two size classes over mmapped
 * blocks) for what comes and goes at start-up and in the tool, and whole pages for tables.
 * In the library, malloc calls that Refunc itself causes inside libc (regcomp, dlopen, ...) are served from here too,
 * so rf_owns() tells free() whose block it holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* All return NULL when memory is refused. Thread-safe; not for signal handlers, but the heap's lock is only tried, never
 * waited for, when rf_internal_depth() says that this thread holds it already. Blocks are 16-byte aligned. Cost: ~20 ns. */
void *rf_malloc(size_t bytes);
void *rf_calloc(size_t count, size_t bytes);
void *rf_realloc(void *block, size_t bytes);
void *rf_memalign(size_t alignment, size_t bytes);
void rf_free(void *block);
size_t rf_usable_size(const void *block);
char *rf_strdup(const char *text);
char *rf_strndup(const char *text, size_t length);
/* printf into a fresh string. */
char *rf_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whether block lies in Refunc's own heap. Any thread, signal-safe. Cost: one comparison. */
bool rf_owns(const void *block);

/* Zeroed private pages straight from the kernel; NULL when refused. Signal-safe. */
void *rf_pages(size_t bytes);
void rf_pages_free(void *start, size_t bytes);

/* All memory taken by rf_malloc and rf_pages so far, in bytes. */
size_t rf_memory_bytes(void);
