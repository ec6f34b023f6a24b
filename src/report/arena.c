/* Blocks of 64 KiB and more, chained; nothing is freed singly. */
#include "report/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)64 * 1024)

struct block {
  struct block *next;
  size_t used, size;
  _Alignas(16) char bytes[];
};

struct rf_arena {
  struct block *blocks;
};

static void *or_end(void *memory) {
  if (memory) return memory;
  fputs("refunc: out of memory\n", stderr);
  exit(125);
}

struct rf_arena *rf_arena_new(void) {
  return or_end(calloc(1, sizeof(struct rf_arena)));
}

void rf_arena_free(struct rf_arena *arena) {
  if (!arena) return;
  for (struct block *b = arena->blocks, *next; b; b = next) {
    next = b->next;
    free(b);
  }
  free(arena);
}

static struct block *fresh_block(struct rf_arena *arena, size_t bytes) {
  size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
  struct block *b = or_end(calloc(1, sizeof *b + size));
  b->size = size;
  b->next = arena->blocks;
  arena->blocks = b;
  return b;
}

void *rf_arena_alloc(struct rf_arena *arena, size_t bytes) {
  bytes = (bytes + 15) & ~(size_t)15;
  struct block *b = arena->blocks;
  if (!b || b->size - b->used < bytes) b = fresh_block(arena, bytes);
  void *place = b->bytes + b->used;
  b->used += bytes;
  return place;
}

char *rf_arena_bytes(struct rf_arena *arena, const char *bytes, size_t length) {
  char *copy = rf_arena_alloc(arena, length + 1);
  memcpy(copy, bytes, length);
  return copy;
}

char *rf_arena_text(struct rf_arena *arena, const char *text) {
  return text ? rf_arena_bytes(arena, text, strlen(text)) : rf_arena_bytes(arena, "", 0);
}

char *rf_arena_printf(struct rf_arena *arena, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int length = vsnprintf(NULL, 0, format, list);
  va_end(list);
  char *text = rf_arena_alloc(arena, (size_t)(length < 0 ? 0 : length) + 1);
  va_start(list, format);
  if (length > 0) vsnprintf(text, (size_t)length + 1, format, list);
  va_end(list);
  return text;
}

void *rf_arena_push(struct rf_arena *arena, void *items, size_t count, size_t item_bytes) {
  void **array = items;
  if ((count & (count - 1)) == 0) {
    void *larger = rf_arena_alloc(arena, (count ? count * 2 : 1) * item_bytes);
    if (count) memcpy(larger, *array, count * item_bytes);
    *array = larger;
  }
  return (char *)*array + count * item_bytes;
}
