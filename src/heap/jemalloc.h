/*
 * heap.allocator=jemalloc: the app's blocks come from jemalloc, which lies in a library of its own,
 * librefunc_jemalloc.so. That library is loaded with the process (session/second_start.h says how), so its
 * thread-local storage has its place in every thread, and no block is older than it.
 *
 *   librefunc_preload.so ──rf_jemalloc (weak: NULL without the option)──▶ librefunc_jemalloc.so
 *   malloc ─▶ rf_app.malloc                                               jemalloc, its names hidden
 *                                                                         its mmap: in one range of addresses
 *
 * Libraries that look for libc's functions in another order (RTLD_DEEPBIND, dlmopen) still get glibc's
 * blocks, and these may be freed here: a block is jemalloc's when it lies in the range that all of jemalloc's
 * mappings lie in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_allocator;

/* Where jemalloc's mappings go: far from what the kernel places by itself, and from the sanitizers' shadows.
 */
#define RF_JEMALLOC_BASE ((uintptr_t)0x200000000000)
#define RF_JEMALLOC_SPAN ((uintptr_t)0x100000000000)

/* What librefunc_jemalloc.so exports, as jemalloc has it. */
struct rf_jemalloc_api {
  uint32_t bytes; /* of this struct: both libraries are of one build */
  void *(*malloc)(size_t bytes);
  void *(*calloc)(size_t count, size_t bytes);
  void *(*realloc)(void *block, size_t bytes);
  void (*free)(void *block);
  void *(*memalign)(size_t alignment, size_t bytes); /* alignment: a power of two */
  int (*posix_memalign)(void **block, size_t alignment, size_t bytes);
  size_t (*usable_size)(void *block);
  int (*control)(const char *name, void *old, size_t *old_bytes, void *fresh, size_t fresh_bytes);
};

#define RF_JEMALLOC_FIGURES 6
extern const char *const rf_jemalloc_figure_names[RF_JEMALLOC_FIGURES] __attribute__((visibility("hidden")));

/* What jemalloc says of itself: bytes, in the order of the names. */
struct rf_jemalloc_figures {
  uint64_t value[RF_JEMALLOC_FIGURES];
};

static inline bool rf_jemalloc_holds(const void *block) {
  return (uintptr_t)block - RF_JEMALLOC_BASE < RF_JEMALLOC_SPAN;
}

/* Whether its library is loaded into this process. */
bool rf_jemalloc_loaded(void);
/* Whether it serves the app. */
bool rf_jemalloc_serves(void);
/* Puts jemalloc in front of glibc's functions, which next holds. */
void rf_jemalloc_serve(struct rf_allocator *next);
/* "5.3.0". text: room for size bytes. */
bool rf_jemalloc_version(char *text, size_t size);
/* Reads the figures. Waits for jemalloc's locks; false on a thread that is inside jemalloc (in a handler that
 * interrupted it). Not signal-safe. Cost: 20 to 100 us. */
bool rf_jemalloc_ask(struct rf_jemalloc_figures *figures);

/* The heap has reached a new peak of so many bytes: keeps the figures of about that moment. Cost: nothing,
 * but where the peak is an eighth higher than when they were kept last. */
void rf_jemalloc_at_peak(int64_t bytes);
/* In a forked child: its peaks are its own. */
void rf_jemalloc_begin_again(void);
/* The figures that were kept; false: none. */
bool rf_jemalloc_peak_figures(struct rf_jemalloc_figures *figures);
