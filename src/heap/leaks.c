/* See leaks.h. */
#include "heap/leaks.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "arch/arch.h"
#include "base/memory.h"
#include "base/thread.h"
#include "heap/allocator.h"
#include "heap/blocks.h"
#include "heap/sites.h"
#include "heap/smaps.h"
#include "recording/writer.h"

#define PIECE 4096u /* words are read through the kernel in pieces: memory may go meanwhile */
#define ARENA                                                                                                \
  ((uintptr_t)64 << 20) /* glibc's arenas beside the main one lie in regions of this size and alignment */

struct block {
  uintptr_t start;
  uint32_t words; /* to be looked at: a block's size in 8 bytes, at most 32 GB */
  uint32_t site : 24, marked : 1, arena : 1;
};

struct mark {
  struct block *list; /* by address */
  size_t count, capacity, todo_count;
  uint32_t *todo; /* marked blocks whose words were not looked at yet */
  uintptr_t lowest, highest, here;
};

/* ---- blocks ---- */

static void count_block(void *user, uintptr_t start, uint64_t word) {
  (void)start, (void)word;
  ((struct mark *)user)->capacity++;
}

static void add_block(void *user, uintptr_t start, uint64_t word) {
  struct mark *mark = user;
  if (mark->count == mark->capacity) return;
  size_t bytes = rf_app_usable_size((void *)start);
  uint32_t flags = rf_app.glibc ? (uint32_t)((size_t *)start)[-1] : 0;
  mark->list[mark->count++] =
      (struct block){start, (uint32_t)(bytes / sizeof(uintptr_t)), rf_word_site(word), 0, (flags & 4) != 0};
  if (start < mark->lowest) mark->lowest = start;
  if (start + bytes > mark->highest) mark->highest = start + bytes;
}

/* The first block that begins at address or behind it. */
static size_t first_from(const struct mark *mark, uintptr_t address) {
  size_t low = 0, high = mark->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (mark->list[middle].start < address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* The block that address lies in, its end included, or NULL. */
static struct block *block_at(const struct mark *mark, uintptr_t address) {
  if (address < mark->lowest || address > mark->highest) return NULL;
  size_t next = first_from(mark, address + 1);
  if (!next) return NULL;
  struct block *block = &mark->list[next - 1];
  return address - block->start <= (uintptr_t)block->words * sizeof(uintptr_t) ? block : NULL;
}

/* ---- marking ---- */

static void look_at_words(struct mark *mark, const uintptr_t *words, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct block *block = block_at(mark, words[i]);
    if (!block || block->marked) continue;
    block->marked = 1;
    mark->todo[mark->todo_count++] = (uint32_t)(block - mark->list);
  }
}

static void look_at_memory(struct mark *mark, uintptr_t start, uintptr_t end) {
  uintptr_t words[PIECE / sizeof(uintptr_t)];
  for (start &= ~(uintptr_t)7; start < end;) {
    uintptr_t stop = (start + PIECE) & ~(uintptr_t)(PIECE - 1);
    if (stop > end) stop = end;
    struct iovec to = {words, stop - start}, from = {(void *)start, stop - start};
    long got = rf_syscall(SYS_process_vm_readv, rf_syscall(SYS_getpid), &to, 1, &from, 1, 0);
    if (got > 0) look_at_words(mark, words, (size_t)got / sizeof *words);
    start = stop;
  }
}

static void follow(struct mark *mark) {
  while (mark->todo_count) {
    const struct block *block = &mark->list[mark->todo[--mark->todo_count]];
    look_at_memory(mark, block->start, block->start + (uintptr_t)block->words * sizeof(uintptr_t));
  }
}

/* ---- roots ---- */

/* The parts of a mapping that no block takes. */
static void look_between_blocks(struct mark *mark, uintptr_t start, uintptr_t end) {
  for (size_t i = first_from(mark, start); i < mark->count && mark->list[i].start < end; i++) {
    look_at_memory(mark, start, mark->list[i].start);
    start = mark->list[i].start + (uintptr_t)mark->list[i].words * sizeof(uintptr_t);
  }
  if (start < end) look_at_memory(mark, start, end);
}

/* What the allocator has given out and taken back lies in its arenas: old pointers there lead nowhere. */
static bool is_arena(const struct mark *mark, const struct rf_mapping *mapping) {
  if (!strcmp(mapping->name, "[heap]")) return true;
  uintptr_t low = mapping->start & ~(ARENA - 1);
  size_t first = first_from(mark, low); /* such a region holds nothing else */
  return first < mark->count && mark->list[first].start < low + ARENA && mark->list[first].arena;
}

/* Refunc's tables know all blocks; its small heap, though, may hold what libc allocated on its behalf. */
static bool is_table(const struct rf_mapping *mapping) {
  return mapping->own && !rf_owns((const void *)mapping->start);
}

static void look_at_mapping(void *user, const struct rf_mapping *mapping) {
  struct mark *mark = user;
  if (!mapping->readable || !mapping->writable || is_table(mapping) || !mapping->rss_bytes ||
      is_arena(mark, mapping))
    return;
  uintptr_t start = mapping->start;
  if (mark->here >= start && mark->here < mapping->end)
    start = mark->here; /* this stack: only what is in use */
  look_between_blocks(mark, start, mapping->end);
}

/* ---- the whole ---- */

static void tell_sites(const struct mark *mark) {
  for (size_t i = 0; i < mark->count; i++) {
    const struct block *block = &mark->list[i];
    struct rf_site_entry *site = rf_sites_entry(block->site);
    site->flags |= RF_SITE_CHECKED;
    if (block->marked) continue;
    site->lost_blocks++;
    site->lost_bytes += (uint64_t)block->words * sizeof(uintptr_t);
  }
}

bool rf_leaks_check(void) {
  struct mark mark = {.lowest = UINTPTR_MAX, .here = (uintptr_t)__builtin_frame_address(0)};
  rf_blocks_visit(count_block, &mark);
  size_t list_bytes = (mark.capacity + 1) * sizeof *mark.list,
         todo_bytes = (mark.capacity + 1) * sizeof *mark.todo;
  mark.list = rf_pages(list_bytes);
  mark.todo = rf_pages(todo_bytes);
  bool good = mark.list && mark.todo;
  if (good) {
    rf_blocks_visit(add_block, &mark);
    good = rf_smaps_visit(look_at_mapping, &mark);
    follow(&mark);
    if (good) tell_sites(&mark);
  }
  rf_pages_free(mark.list, list_bytes);
  rf_pages_free(mark.todo, todo_bytes);
  return good;
}
