/*
 * The memory of one report: everything a model refers to lies in its arena and goes with it. Only in the
 * tool; ends the process with status 125 when memory is refused, so that nobody has to check.
 */
#pragma once

#include <stddef.h>

struct rf_arena; /* opaque */

struct rf_arena *rf_arena_new(void);
void rf_arena_free(struct rf_arena *arena);

/* Zeroed, 16-byte aligned; lives as long as the arena. Not thread-safe. Cost: about 5 ns. */
void *rf_arena_alloc(struct rf_arena *arena, size_t bytes);
char *rf_arena_text(struct rf_arena *arena, const char *text); /* a copy; NULL gives "" */
char *rf_arena_bytes(struct rf_arena *arena, const char *bytes, size_t length);
char *rf_arena_printf(struct rf_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Room for one more element at the end of a growing array: *items points to the array, count elements are in
 * use (the caller counts). Doubles at every power of two; what it outgrew stays in the arena.
 */
void *rf_arena_push(struct rf_arena *arena, void *items, size_t count, size_t item_bytes);
