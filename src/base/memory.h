/*
 * Refunc's own memory: never the app's heap. A small general-purpose heap (size classes over a reserved
 * region) for what comes and goes at start-up and in the tool, and whole pages for tables. In the library,
 * malloc calls that Refunc itself causes inside libc (regcomp, dlopen, ...) are served from here too, so
 * rf_owns() tells free() whose block it holds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All return NULL when memory is refused, and leave errno alone. Any thread, signal-safe (also in a handler
 * that interrupted one of them), usable before any constructor ran. Blocks are 16-byte aligned. Cost: ~20 ns;
 * from 32 KB on a system call. What is not a block of theirs, or was freed already, is left alone by rf_free
 * and refused by rf_realloc. */
void *rf_malloc(size_t bytes);
void *rf_calloc(size_t count, size_t bytes);
/* rf_realloc(block, 0) frees. A block that is refused stays as it was. */
void *rf_realloc(void *block, size_t bytes);
/* alignment: a power of two; else NULL. */
void *rf_memalign(size_t alignment, size_t bytes);
void rf_free(void *block);
/* 0 for what is not a block of this heap. */
size_t rf_usable_size(const void *block);
char *rf_strdup(const char *text);
char *rf_strndup(const char *text, size_t length);
/* printf into a fresh string. Not for signal handlers (vsnprintf). */
char *rf_asprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What all regions of the heap lie between, and whether an address there is in one of them. For rf_owns
 * alone. */
extern uintptr_t rf_owned_low __attribute__((visibility("hidden"))),
    rf_owned_high __attribute__((visibility("hidden")));
bool rf_owns_exactly(uintptr_t block);

/* Whether block lies in Refunc's own heap. Any thread, signal-safe. Cost: one or two comparisons for what is
 * not. */
static inline bool rf_owns(const void *block) {
  uintptr_t at = (uintptr_t)block;
  if (__builtin_expect(at < __atomic_load_n(&rf_owned_low, __ATOMIC_RELAXED) ||
                           at >= __atomic_load_n(&rf_owned_high, __ATOMIC_RELAXED),
                       1))
    return false;
  return rf_owns_exactly(at);
}

/* Zeroed private pages straight from the kernel, outside what rf_owns() answers for; NULL when refused.
 * Signal-safe. */
void *rf_pages(size_t bytes);
void rf_pages_free(void *start, size_t bytes);

/* All memory that rf_malloc and rf_pages hold now, in bytes. */
size_t rf_memory_bytes(void);

/*
 * Around fork(), so that the child finds the heap whole: call prepare before it, with all signals blocked,
 * and done in parent and child with prepare's answer. Waits for other threads some microseconds at most. A
 * child that was forked without (a raw clone) can still allocate: what another thread held stays locked and
 * is passed over.
 */
uint32_t rf_memory_fork_prepare(void);
void rf_memory_fork_done(uint32_t held);
