/*
 * Refunc's heap. Size classes (steps of 16 bytes up to 1 KB, then four to an octave) with a free list each,
 * over chunks of a region of its own (region.c).
 *
 *   block:   │ header 16 bytes: next, class, arena, state │ payload ...           │
 *   aligned: │ header │ ... │ header (state ALIGNED, next = the block) │ payload  │
 *
 * Nobody ever waits for a lock, which is what makes it usable in a signal handler that interrupted it and in
 * a child forked while another thread was inside. There are several arenas; who finds one busy takes the
 * next; and a block freed while its arena is busy goes onto that arena's list of returned blocks, which its
 * next user takes in:
 *
 *   arena i:  lock ─ free[class] ──▶ block ──▶ block
 *             returned ──▶ block (pushed by anyone by compare-and-swap, taken as a whole by the lock's holder)
 *
 * Everything starts as zeros, so it works before any constructor ran. The list links lie in headers, not in
 * payloads: a stale one that a forked child sees is still a block.
 */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/lock.h"
#include "base/region.h"

#define ARENAS 8u
#define STEP 16u
#define SMALL_MAX 1024u
#define SMALL_CLASSES (SMALL_MAX / STEP)
#define FIRST_OCTAVE 10u
#define LAST_OCTAVE 40u
#define CLASSES (SMALL_CLASSES + (LAST_OCTAVE - FIRST_OCTAVE) * 4)
/* From here on a block has pages of its own, and free gives them back to the kernel. */
#define PAGED_MIN (32u << 10)
#define CHUNK (64u << 10)
#define YIELDS 100
#define PATIENCE 20000

enum state { LIVE = 0x4c, FREE = 0x46, ALIGNED = 0x41 };

struct block {
  struct block *next; /* in a list; of an ALIGNED header: the block that it lies in */
  uint16_t class;
  uint8_t arena;
  uint8_t state;
  uint32_t zeroed; /* a paged block whose payload beyond its first page reads as zero */
};
_Static_assert(sizeof(struct block) == STEP, "payloads are 16-byte aligned");

struct arena {
  struct rf_lock lock;
  struct block *returned;
  char *chunk, *chunk_end;
  struct block *free[CLASSES];
};

static struct arena arenas[ARENAS];

static unsigned class_of(size_t bytes) {
  if (bytes <= SMALL_MAX) return bytes == 0 ? 0 : (unsigned)((bytes - 1) / STEP);
  unsigned octave = 63u - (unsigned)__builtin_clzl(bytes - 1);
  unsigned quarter = (unsigned)((bytes - 1) >> (octave - 2)) & 3u;
  return SMALL_CLASSES + (octave - FIRST_OCTAVE) * 4 + quarter;
}

static size_t class_bytes(unsigned class) {
  if (class < SMALL_CLASSES) return (size_t)(class + 1) * STEP;
  unsigned octave = FIRST_OCTAVE + (class - SMALL_CLASSES) / 4, quarter = (class - SMALL_CLASSES) % 4;
  return (size_t)(5 + quarter) << (octave - 2);
}

static bool paged(unsigned class) { return class_bytes(class) >= PAGED_MIN; }

static size_t footprint(unsigned class) {
  size_t bytes = sizeof(struct block) + class_bytes(class);
  return paged(class) ? (bytes + RF_PAGE - 1) & ~(size_t)(RF_PAGE - 1) : bytes;
}

static void *payload(struct block *block) { return block + 1; }
static struct block *header(const void *start) { return (struct block *)(uintptr_t)start - 1; }

static void put(struct arena *arena, struct block *block) {
  block->next = arena->free[block->class];
  __atomic_store_n(&arena->free[block->class], block, __ATOMIC_RELEASE);
}

static void take_in_returned(struct arena *arena) {
  if (!__atomic_load_n(&arena->returned, __ATOMIC_RELAXED)) return;
  struct block *block = __atomic_exchange_n(&arena->returned, NULL, __ATOMIC_ACQUIRE);
  while (block) {
    struct block *next = block->next;
    put(arena, block);
    block = next;
  }
}

/* Lets others go on: the first times for as short as the scheduler likes, then for 0.1 ms. */
static void wait_a_little(int tries) {
  static const struct timespec nap = {0, 100000};
  if (tries < YIELDS)
    rf_syscall(SYS_sched_yield);
  else
    rf_syscall(SYS_nanosleep, &nap, 0);
}

/* An arena with its lock held. While another thread forks all are busy, for milliseconds. NULL after seconds
 * only: when handlers nested inside one another's allocations hold them all on this very thread. */
static struct arena *enter(void) {
  for (int tries = 0; tries < PATIENCE; tries++) {
    for (unsigned i = 0; i < ARENAS; i++) {
      if (!rf_lock_try(&arenas[i].lock)) continue;
      take_in_returned(&arenas[i]);
      return &arenas[i];
    }
    wait_a_little(tries);
  }
  return NULL;
}

static struct block *pop(struct arena *arena, unsigned class) {
  struct block *block = arena->free[class];
  if (block) __atomic_store_n(&arena->free[class], block->next, __ATOMIC_RELEASE);
  return block;
}

/* A freed block of this class, or, rather than taking more address space, a paged one of up to twice the
 * size. */
static struct block *reuse(struct arena *arena, unsigned class) {
  unsigned last = paged(class) ? class + 4 : class;
  for (unsigned i = class; i <= last && i < CLASSES; i++) {
    struct block *block = pop(arena, i);
    if (block) return block;
  }
  return NULL;
}

static struct block *cut(struct arena *arena, unsigned class) {
  size_t bytes = footprint(class);
  if ((size_t)(arena->chunk_end - arena->chunk) < bytes) {
    char *chunk = rf_region_take(CHUNK);
    if (!chunk) return NULL;
    arena->chunk = chunk;
    arena->chunk_end = chunk + CHUNK;
  }
  struct block *block = (struct block *)(void *)arena->chunk;
  arena->chunk += bytes;
  return block;
}

static struct block *fresh(struct arena *arena, unsigned class) {
  struct block *block = paged(class) ? rf_region_take(footprint(class)) : cut(arena, class);
  if (!block) return NULL;
  block->class = (uint16_t) class;
  block->arena = (uint8_t)(arena - arenas);
  block->zeroed = paged(class);
  return block;
}

static struct block *allocate(size_t bytes) {
  if (bytes > (size_t)1 << LAST_OCTAVE) return NULL;
  unsigned class = class_of(bytes);
  struct arena *arena = enter();
  if (!arena) return NULL;
  struct block *block = reuse(arena, class);
  if (!block) block = fresh(arena, class);
  if (block) block->state = LIVE;
  rf_lock_give(&arena->lock);
  return block;
}

void *rf_malloc(size_t bytes) {
  struct block *block = allocate(bytes);
  return block ? payload(block) : NULL;
}

void *rf_calloc(size_t count, size_t bytes) {
  size_t total;
  if (__builtin_mul_overflow(count, bytes, &total)) return NULL;
  struct block *block = allocate(total);
  if (!block) return NULL;
  size_t first_page = RF_PAGE - sizeof *block;
  memset(payload(block), 0, block->zeroed && total > first_page ? first_page : total);
  return payload(block);
}

/* The block that a payload belongs to, NULL for anything that rf_malloc and its like didn't return or that is
 * free. */
static struct block *block_of(const void *start) {
  if (!rf_owns(start) || (uintptr_t)start % STEP) return NULL;
  struct block *block = header(start);
  if (block->state == ALIGNED) block = block->next;
  return rf_owns(block) && block->state == LIVE ? block : NULL;
}

static void give_back_pages(struct block *block) {
  char *second = (char *)block + RF_PAGE;
  block->zeroed = rf_region_drop(second, footprint(block->class) - RF_PAGE);
}

void rf_free(void *start) {
  struct block *block = block_of(start);
  if (!block) return;
  if (header(start) != block) header(start)->state = FREE;
  block->state = FREE;
  if (paged(block->class)) give_back_pages(block);
  struct arena *arena = &arenas[block->arena];
  if (rf_lock_try(&arena->lock)) {
    put(arena, block);
    rf_lock_give(&arena->lock);
    return;
  }
  struct block *head = __atomic_load_n(&arena->returned, __ATOMIC_RELAXED);
  do block->next = head;
  while (
      !__atomic_compare_exchange_n(&arena->returned, &head, block, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

size_t rf_usable_size(const void *start) {
  struct block *block = block_of(start);
  if (!block) return 0;
  return (size_t)((char *)payload(block) + class_bytes(block->class) - (const char *)start);
}

void *rf_realloc(void *start, size_t bytes) {
  if (!start) return rf_malloc(bytes);
  size_t old = rf_usable_size(start);
  if (bytes == 0) {
    rf_free(start);
    return NULL;
  }
  if (old == 0 || (bytes <= old && bytes >= old / 4)) return old ? start : NULL;
  void *moved = rf_malloc(bytes);
  if (!moved) return bytes <= old ? start : NULL;
  memcpy(moved, start, bytes < old ? bytes : old);
  rf_free(start);
  return moved;
}

void *rf_memalign(size_t alignment, size_t bytes) {
  if (alignment & (alignment - 1)) return NULL;
  if (alignment <= STEP) return rf_malloc(bytes);
  if (bytes > PTRDIFF_MAX || alignment > PTRDIFF_MAX - bytes) return NULL;
  struct block *block = allocate(bytes + alignment);
  if (!block) return NULL;
  uintptr_t start = ((uintptr_t)payload(block) + alignment - 1) & ~(uintptr_t)(alignment - 1);
  if (start == (uintptr_t)payload(block)) return payload(block);
  *header((void *)start) = (struct block){.next = block, .state = ALIGNED};
  return (void *)start;
}

char *rf_strndup(const char *text, size_t length) {
  length = strnlen(text, length);
  char *copy = rf_malloc(length + 1);
  if (!copy) return NULL;
  memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

char *rf_strdup(const char *text) { return rf_strndup(text, strlen(text)); }

char *rf_asprintf(const char *format, ...) {
  va_list arguments;
  int saved = errno;
  va_start(arguments, format);
  int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  char *text = length < 0 ? NULL : rf_malloc((size_t)length + 1);
  va_start(arguments, format);
  if (text) vsnprintf(text, (size_t)length + 1, format, arguments);
  va_end(arguments);
  errno = saved;
  return text;
}

uint32_t rf_memory_fork_prepare(void) {
  uint32_t held = 0;
  for (unsigned i = 0; i < ARENAS; i++)
    for (int tries = 0; tries < 100 && !(held & 1u << i); tries++) {
      if (rf_lock_try(&arenas[i].lock))
        held |= 1u << i;
      else
        rf_syscall(SYS_sched_yield);
    }
  return held;
}

void rf_memory_fork_done(uint32_t held) {
  for (unsigned i = 0; i < ARENAS; i++)
    if (held & 1u << i) rf_lock_give(&arenas[i].lock);
}
