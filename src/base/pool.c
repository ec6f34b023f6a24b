/* See pool.h: chunks of rf_malloc in a list, filled from the front. */
#include "base/pool.h"

#include <string.h>

#include "base/memory.h"

#ifndef RF_POOL_CHUNK
/* Fuzzers take 1: every allocation is one of the heap, where overflows are seen. */
#define RF_POOL_CHUNK 4064u
#endif

struct rf_pool_chunk {
  struct rf_pool_chunk *next;
  size_t unused; /* keeps what follows 16-byte aligned */
};

static bool add_chunk(struct rf_pool *pool, size_t bytes) {
  size_t room = bytes > RF_POOL_CHUNK ? bytes : RF_POOL_CHUNK;
  struct rf_pool_chunk *chunk = rf_calloc(1, sizeof *chunk + room);
  if (!chunk) return false;
  chunk->next = pool->chunks;
  pool->chunks = chunk;
  pool->free = (char *)(chunk + 1);
  pool->end = pool->free + room;
  return true;
}

void *rf_pool_take(struct rf_pool *pool, size_t bytes) {
  if (bytes > PTRDIFF_MAX / 2) return NULL;
  bytes = (bytes + 15) & ~(size_t)15;
  if ((size_t)(pool->end - pool->free) < bytes && !add_chunk(pool, bytes)) return NULL;
  void *taken = pool->free;
  pool->free += bytes;
  return taken;
}

char *rf_pool_slice(struct rf_pool *pool, const char *text, size_t length) {
  char *copy = rf_pool_take(pool, length + 1);
  if (copy) memcpy(copy, text, length);
  return copy;
}

char *rf_pool_text(struct rf_pool *pool, const char *text) { return rf_pool_slice(pool, text, strlen(text)); }

char *rf_pool_join_all(struct rf_pool *pool, const char *const *parts) {
  size_t length = 0;
  for (const char *const *part = parts; *part; part++) length += strlen(*part);
  char *joined = rf_pool_take(pool, length + 1), *at = joined;
  for (; joined && *parts; parts++) at = stpcpy(at, *parts);
  return joined;
}

void *rf_pool_grow(struct rf_pool *pool, void *array, size_t count, size_t *capacity, size_t element) {
  if (count < *capacity) return array;
  size_t more = *capacity ? *capacity * 2 : 8;
  void *larger = rf_pool_take(pool, more * element);
  if (!larger) return NULL;
  if (count) memcpy(larger, array, count * element);
  *capacity = more;
  return larger;
}

void rf_pool_free(struct rf_pool *pool) {
  while (pool->chunks) {
    struct rf_pool_chunk *chunk = pool->chunks;
    pool->chunks = chunk->next;
    rf_free(chunk);
  }
  *pool = (struct rf_pool){0};
}
