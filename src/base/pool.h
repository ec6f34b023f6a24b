/* A pool of small allocations that are freed together. Not thread-safe: its owner's. Cost: a few ns an
 * allocation. */
#pragma once

#include <stddef.h>

struct rf_pool_chunk;
struct rf_pool { /* zero-initialised: empty */
  struct rf_pool_chunk *chunks;
  char *free, *end;
};

/* 16-byte aligned, zeroed; NULL without memory. */
void *rf_pool_take(struct rf_pool *pool, size_t bytes);
/* Copies of text, NUL-terminated; NULL without memory. */
char *rf_pool_text(struct rf_pool *pool, const char *text);
char *rf_pool_slice(struct rf_pool *pool, const char *text, size_t length);
/* All parts, one behind the other. */
#define rf_pool_join(pool, ...) rf_pool_join_all(pool, (const char *const[]){__VA_ARGS__, NULL})
char *rf_pool_join_all(struct rf_pool *pool, const char *const *parts);
/* A larger copy of an array of count elements when it has no room for another; the array itself where it has.
 * NULL without memory. capacity is kept by the callee. */
void *rf_pool_grow(struct rf_pool *pool, void *array, size_t count, size_t *capacity, size_t element);
/* Everything taken from it is gone. */
void rf_pool_free(struct rf_pool *pool);
