/*
 * The app's allocator: the next definitions behind ours, whoever brings them (glibc, or a jemalloc that is
 * linked or preloaded). Found at the first call, which may come before any constructor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct rf_allocator {
  void *(*malloc)(size_t);
  void *(*calloc)(size_t, size_t);
  void *(*realloc)(void *, size_t);
  void (*free)(void *);
  void *(*memalign)(size_t, size_t);
  void *(*aligned_alloc)(size_t, size_t);
  int (*posix_memalign)(void **, size_t, size_t);
  void *(*valloc)(size_t);
  void *(*pvalloc)(size_t);
  size_t (*usable_size)(void *);
  bool glibc; /* chunk headers may be read directly */
};

extern struct rf_allocator rf_app __attribute__((visibility("hidden")));

/* Finds the app's allocator; the members call it by themselves when they are used before. */
void rf_allocator_find(void);
/* Reads chunk headers from now on, if the allocator is glibc's and its headers say what it says. Call once
 * the app's heap may be used. */
void rf_allocator_learn(void);

/* Whether glibc's stands behind ours. */
bool rf_allocator_is_glibc(void);
/* What to call it: "glibc 2.36", "jemalloc 5.3.0" where that was asked for, else the file that brings it. */
void rf_allocator_name(char *text, size_t size);

/* The malloc that the app's calls reach. */
const void *rf_allocator_seen(void);
/* Whether the app's calls reach the library's malloc: not where the executable brings its own. */
bool rf_allocator_is_ours(void);

/*
 * Bytes that the allocator handed out for block, as malloc_usable_size says; glibc keeps them in front of the
 * block: the chunk's size with three flag bits, bit 1 for a chunk of its own mapping, which has two words of
 * header instead of one.
 */
static inline size_t rf_app_usable_size(void *block) {
  if (!rf_app.glibc) return rf_app.usable_size(block);
  size_t header = ((size_t *)block)[-1];
  return (header & ~(size_t)7) - (header & 2 ? 2 * sizeof(size_t) : sizeof(size_t));
}
