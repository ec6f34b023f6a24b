/* See mark.h. */
#include "heap/mark.h"

#include <fcntl.h>
#include <sys/uio.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/memory.h"
#include "heap/allocator.h"
#include "heap/blocks.h"

#define WORD sizeof(uintptr_t)
#define PAGE_BITS 12
#define PAGE ((uintptr_t)1 << PAGE_BITS)
#define MEGABYTE_BITS 20
#define PAGES_EACH ((1u << (MEGABYTE_BITS - PAGE_BITS)) + 1) /* entries of first[] for a megabyte */
#define PIECE ((uintptr_t)64 << 10)
#define SPARSE ((uintptr_t)256 << 10) /* larger ranges may have pages that were never touched */
#define PRESENT ((uint64_t)3 << 62)   /* in memory, or swapped */
#define FILLED ((uint64_t)1 << 32)    /* one block fills the megabyte: its index, else where its pages are */

/* ---- the list ---- */

static void count_block(void *user, uintptr_t start, uint64_t word) {
  (void)start, (void)word;
  ((struct rf_mark *)user)->capacity++;
}

static void add_block(struct rf_mark *mark, uintptr_t start, uint64_t word, size_t bytes, size_t header) {
  if (mark->blocks == mark->capacity) return;
  mark->block[mark->blocks++] = (struct rf_mark_block){
      start, (uint32_t)(bytes / WORD), rf_word_site(word), 0, 0, (uint32_t)(header >> 2 & 1)};
  if (start < mark->lowest) mark->lowest = start;
  if (start + bytes > mark->highest) mark->highest = start + bytes;
}

static void add_still_block(void *user, uintptr_t start, uint64_t word) {
  size_t header = rf_app.glibc ? ((size_t *)start)[-1] : 0;
  add_block(user, start, word, rf_app_usable_size((void *)start), header);
}

static long read_memory(void *to, uintptr_t from, size_t bytes) {
  struct iovec there = {(void *)from, bytes}, here = {to, bytes};
  return rf_syscall(SYS_process_vm_readv, rf_syscall(SYS_getpid), &here, 1, &there, 1, 0);
}

/* Meanwhile the block, and its memory, may go. */
static void add_moving_block(void *user, uintptr_t start, uint64_t word) {
  size_t header[2] = {0}, bytes;
  if (!rf_app.glibc) {
    add_still_block(user, start, word);
    return;
  }
  if (read_memory(&header[1], start - WORD, WORD) != (long)WORD) return;
  bytes = rf_app_usable_size(&header[2]);
  if (bytes < (size_t)1 << 40) add_block(user, start, word, bytes, header[1]);
}

/* ---- the index ---- */

static size_t slot_of(const struct rf_mark *mark, uintptr_t megabyte) {
  size_t slot = megabyte * 0x9e3779b97f4a7c15u >> 20 & (mark->table_words / 2 - 1);
  while (mark->table[2 * slot] && mark->table[2 * slot] != megabyte)
    slot = (slot + 1) & (mark->table_words / 2 - 1);
  return 2 * slot;
}

static size_t count_megabytes(const struct rf_mark *mark) {
  size_t count = 0;
  uintptr_t next = 0; /* the first one that was not counted */
  for (size_t i = 0; i < mark->blocks; i++) {
    uintptr_t low = mark->block[i].start >> MEGABYTE_BITS,
              high = rf_mark_block_end(&mark->block[i]) >> MEGABYTE_BITS;
    if (low < next) low = next;
    if (high + 1 > low) count += high + 1 - low;
    if (high + 1 > next) next = high + 1;
  }
  return count;
}

/* The pages of the megabyte in which block i is the first to begin. */
static uint32_t add_pages(struct rf_mark *mark, size_t i, uintptr_t megabyte) {
  uint32_t place = (uint32_t)mark->firsts, *first = mark->first + place;
  for (uint32_t page = 0; page < PAGES_EACH; page++) {
    uintptr_t at = (megabyte << MEGABYTE_BITS) + ((uintptr_t)page << PAGE_BITS);
    while (i < mark->blocks && mark->block[i].start < at) i++;
    first[page] = (uint32_t)i;
  }
  mark->firsts += PAGES_EACH;
  return place;
}

static size_t count_beginnings(const struct rf_mark *mark) {
  size_t count = 0;
  for (size_t i = 0; i < mark->blocks; i++)
    count += !i || mark->block[i].start >> MEGABYTE_BITS != mark->block[i - 1].start >> MEGABYTE_BITS;
  return count;
}

static void fill_table(struct rf_mark *mark) {
  for (size_t i = 0; i < mark->blocks; i++) {
    uintptr_t low = mark->block[i].start >> MEGABYTE_BITS,
              high = rf_mark_block_end(&mark->block[i]) >> MEGABYTE_BITS;
    if (!i || mark->block[i - 1].start >> MEGABYTE_BITS != low) {
      size_t slot = slot_of(mark, low);
      mark->table[slot] = low;
      mark->table[slot + 1] = add_pages(mark, i, low);
    }
    for (uintptr_t megabyte = low + 1; megabyte <= high; megabyte++) {
      size_t slot = slot_of(mark, megabyte); /* should a block begin in it, that one's turn comes */
      mark->table[slot] = megabyte;
      mark->table[slot + 1] = FILLED | i;
    }
  }
}

static bool make_index(struct rf_mark *mark) {
  size_t slots = 16, megabytes = count_megabytes(mark);
  while (slots < 2 * megabytes) slots *= 2;
  mark->table_words = 2 * slots;
  mark->first_room = count_beginnings(mark) * PAGES_EACH + 1;
  mark->table = rf_pages(mark->table_words * sizeof *mark->table);
  mark->first = rf_pages(mark->first_room * sizeof *mark->first);
  if (!mark->table || !mark->first) return false;
  fill_table(mark);
  return true;
}

/* The last block that begins at address or in front of it, given where in the list it must be; -1: none. */
static inline size_t last_at(const struct rf_mark *mark, uintptr_t address, size_t low, size_t high) {
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (mark->block[middle].start <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low - 1;
}

/* The block that address lies in, its end included, or NULL. */
static struct rf_mark_block *block_at(const struct rf_mark *mark, uintptr_t address) {
  size_t slot = slot_of(mark, address >> MEGABYTE_BITS);
  if (!mark->table[slot]) return NULL;
  uint64_t entry = mark->table[slot + 1];
  size_t index = (uint32_t)entry;
  if (!(entry & FILLED)) {
    const uint32_t *first = mark->first + index + (address >> PAGE_BITS & (PAGES_EACH - 2));
    index = last_at(mark, address, first[0], first[1]);
    if (index == SIZE_MAX) return NULL;
  }
  struct rf_mark_block *block = &mark->block[index];
  return address - block->start <= (uintptr_t)block->words * WORD ? block : NULL;
}

size_t rf_mark_first_from(const struct rf_mark *mark, uintptr_t address) {
  return address ? last_at(mark, address - 1, 0, mark->blocks) + 1 : 0;
}

/* ---- begin and end ---- */

bool rf_mark_begin(struct rf_mark *mark, bool still, int64_t until_ns) {
  *mark = (struct rf_mark){.lowest = UINTPTR_MAX, .until_ns = until_ns};
  mark->pagemap = (int)rf_syscall(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  rf_blocks_visit(count_block, mark);
  mark->capacity += mark->capacity / 8 + 1024; /* allocated while this counts */
  mark->block = rf_pages(mark->capacity * sizeof *mark->block);
  mark->todo = rf_pages(mark->capacity * sizeof *mark->todo);
  mark->buffer = rf_pages(PIECE);
  if (!mark->block || !mark->todo || !mark->buffer) return false;
  rf_blocks_visit(still ? add_still_block : add_moving_block, mark);
  return make_index(mark);
}

void rf_mark_end(struct rf_mark *mark) {
  if (mark->pagemap >= 0) rf_syscall(SYS_close, mark->pagemap);
  rf_pages_free(mark->block, mark->capacity * sizeof *mark->block);
  rf_pages_free(mark->todo, mark->capacity * sizeof *mark->todo);
  rf_pages_free(mark->buffer, PIECE);
  rf_pages_free(mark->table, mark->table_words * sizeof *mark->table);
  rf_pages_free(mark->first, mark->first_room * sizeof *mark->first);
}

void rf_mark_again(struct rf_mark *mark) {
  for (size_t i = 0; i < mark->blocks; i++) {
    mark->block[i].ever |= mark->block[i].marked;
    mark->block[i].marked = 0;
  }
}

/* ---- marking ---- */

/* A chunk's header begins with the last 8 bytes of the block before it: glibc's lists of free chunks lead
 * there. */
static bool is_header(const struct rf_mark_block *block, uintptr_t word) {
  return rf_app.glibc && word == rf_mark_block_end(block) - WORD;
}

void rf_mark_words(struct rf_mark *mark, const uintptr_t *word, size_t count) {
  uintptr_t lowest = mark->lowest, reach = mark->highest - lowest;
  if (!mark->blocks) return;
  for (size_t i = 0; i < count; i++) {
    if (word[i] - lowest > reach) continue;
    struct rf_mark_block *block = block_at(mark, word[i]);
    if (!block || block->marked || (mark->headers && is_header(block, word[i]))) continue;
    block->marked = 1;
    __builtin_prefetch((const void *)block->start);
    mark->todo[mark->todo_count++] = (uint32_t)(block - mark->block);
  }
}

static bool in_time(struct rf_mark *mark) {
  if (!mark->late && rf_monotonic_ns() > mark->until_ns) mark->late = true;
  return !mark->late;
}

/* Successive ranges often lie in the same mapping. */
static bool is_direct(struct rf_mark *mark, uintptr_t start, uintptr_t end) {
  const struct rf_range *range = mark->direct;
  size_t low = 0, high = mark->directs;
  if (mark->hint < high && start >= range[mark->hint].start && end <= range[mark->hint].end) return true;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (range[middle].end <= start)
      low = middle + 1;
    else
      high = middle;
  }
  mark->hint = low;
  return low < mark->directs && start >= range[low].start && end <= range[low].end;
}

/* Up to the first page that can't be read, which is passed over. */
static void look_through_kernel(struct rf_mark *mark, uintptr_t start, uintptr_t end) {
  while (start < end) {
    uintptr_t bytes = end - start < PIECE ? end - start : PIECE;
    long got = read_memory(mark->buffer, start, bytes);
    if (got > 0) rf_mark_words(mark, mark->buffer, (size_t)got / WORD);
    start =
        got == (long)bytes ? start + bytes : (start + (got > 0 ? (uintptr_t)got : 0) + PAGE) & ~(PAGE - 1);
  }
}

/* A range of a piece at most. */
static void look_at_piece(struct rf_mark *mark, uintptr_t start, uintptr_t end) {
  mark->bytes += end - start;
  if (is_direct(mark, start, end))
    rf_mark_words(mark, (const uintptr_t *)start, (end - start) / WORD);
  else
    look_through_kernel(mark, start, end);
}

static void look_at(struct rf_mark *mark, uintptr_t start, uintptr_t end) {
  while (start < end && in_time(mark)) {
    uintptr_t stop = end - start < PIECE ? end : start + PIECE;
    look_at_piece(mark, start, stop);
    start = stop;
  }
}

/* The pages from start to end, which share a piece of the page map. */
static void look_at_present(struct rf_mark *mark, uintptr_t start, uintptr_t end) {
  uint64_t entry[512];
  uintptr_t first = start & ~(PAGE - 1), pages = (end - first + PAGE - 1) >> PAGE_BITS;
  long got = rf_syscall(SYS_pread64, mark->pagemap, entry, pages * sizeof *entry,
                        (first >> PAGE_BITS) * sizeof *entry);
  if (got < (long)(pages * sizeof *entry)) {
    look_at(mark, start, end);
    return;
  }
  for (uintptr_t i = 0; i < pages; i++) {
    if (!(entry[i] & PRESENT)) continue;
    uintptr_t from = i;
    while (i + 1 < pages && entry[i + 1] & PRESENT) i++;
    uintptr_t low = first + (from << PAGE_BITS), high = first + ((i + 1) << PAGE_BITS);
    look_at(mark, low > start ? low : start, high < end ? high : end);
  }
}

void rf_mark_memory(struct rf_mark *mark, uintptr_t start, uintptr_t end) {
  start = (start + WORD - 1) & ~(WORD - 1);
  end &= ~(WORD - 1);
  if (start >= end) return;
  if (end - start < PIECE) {
    if (!mark->late) look_at_piece(mark, start, end);
    return;
  }
  if (end - start < SPARSE || mark->pagemap < 0) {
    look_at(mark, start, end);
    return;
  }
  while (start < end && in_time(mark)) {
    uintptr_t stop = (start & ~(PAGE - 1)) + 512 * PAGE;
    if (stop > end) stop = end;
    look_at_present(mark, start, stop);
    start = stop;
  }
}

void rf_mark_between_blocks(struct rf_mark *mark, uintptr_t start, uintptr_t end) {
  size_t i = rf_mark_first_from(mark, start);
  if (i > 0 && rf_mark_block_end(&mark->block[i - 1]) > start) start = rf_mark_block_end(&mark->block[i - 1]);
  for (; i < mark->blocks && mark->block[i].start < end; i++) {
    rf_mark_memory(mark, start, mark->block[i].start);
    start = rf_mark_block_end(&mark->block[i]);
  }
  rf_mark_memory(mark, start, end);
}

void rf_mark_follow(struct rf_mark *mark) {
  for (uint32_t n = 0; mark->todo_count; n++) {
    const struct rf_mark_block *block = &mark->block[mark->todo[--mark->todo_count]];
    if (n % 1024 == 0 && !in_time(mark)) return;
    rf_mark_memory(mark, block->start, rf_mark_block_end(block));
  }
}
