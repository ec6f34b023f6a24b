/*
 * Which tracked blocks a word of memory leads to, and which those lead to in turn.
 *
 *   address ─▶ megabyte (hash) ─┬▶ page of it ─▶ the few blocks that begin there ─▶ block
 *                               └▶ the one block that fills it
 *
 * Memory is read directly where it is known to stay (nothing else runs, and it is no file's), else through
 * the kernel, in pieces. Of large ranges only pages that are there are read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_mark_block {
  uintptr_t start;
  uint32_t words; /* to be looked at: the block's size in 8 bytes, at most 32 GB */
  uint32_t site : 24, marked : 1, ever : 1, arena : 1; /* ever: in an earlier pass; arena: not glibc's main */
};

struct rf_range {
  uintptr_t start, end;
};

struct rf_mark {
  struct rf_mark_block *block; /* by address */
  size_t blocks;
  const struct rf_range *direct; /* by address: may be read directly; the caller's */
  size_t directs;
  uint64_t bytes; /* that were looked at */
  bool headers;   /* what is read now is the allocator's: its words lead to chunk headers, not to blocks */
  bool late;      /* it took longer than until_ns: what is marked is not all */

  int64_t until_ns; /* the rest is mark.c's */
  size_t capacity, todo_count, table_words, first_room, firsts, hint;
  uint32_t *todo; /* marked blocks whose words were not looked at yet */
  uint64_t *table;
  uint32_t *first;
  uintptr_t lowest, highest;
  uintptr_t *buffer;
  int pagemap;
};

/* Lists the blocks. still: none of them goes meanwhile. False without memory; end it in any case. */
bool rf_mark_begin(struct rf_mark *mark, bool still, int64_t until_ns);
void rf_mark_end(struct rf_mark *mark);

/* Marks what these words lead to. Cost: about 1 ns a word, 10 to 50 ns one that leads to a block. */
void rf_mark_words(struct rf_mark *mark, const uintptr_t *word, size_t count);
/* The words of a range; the range but for the blocks in it. What can't be read is passed over. */
void rf_mark_memory(struct rf_mark *mark, uintptr_t start, uintptr_t end);
void rf_mark_between_blocks(struct rf_mark *mark, uintptr_t start, uintptr_t end);
/* Marks what marked blocks lead to. */
void rf_mark_follow(struct rf_mark *mark);
/* Another pass over what may have moved: a block is found if any pass has found it. */
void rf_mark_again(struct rf_mark *mark);

/* Index of the first block that begins at address or behind it. */
size_t rf_mark_first_from(const struct rf_mark *mark, uintptr_t address);

static inline uintptr_t rf_mark_block_end(const struct rf_mark_block *block) {
  return block->start + (uintptr_t)block->words * sizeof(uintptr_t);
}
