/* See memory.h. */
#include "validate/memory.h"

#include <sys/mman.h>

#include "arch/arch.h"
#include "base/quiet.h"
#include "base/thread.h"
#include "unwind/readable.h"

#define RANGES 8u
#define FRESH_CYCLES (1u << 21) /* about a millisecond */
#define LOWEST 65536u           /* nothing is ever mapped below */
#define HIGHEST ((uintptr_t)1 << 47)
#define SINGLE_PAGES 8u  /* from here on one call for all of them is cheaper */
#define POPULATE_READ 22 /* MADV_POPULATE_READ, Linux 5.14 */

struct range {
  uintptr_t start, end;
  uint64_t generation, until;
};

/* One thread's; a signal handler that finds it in use does without. */
struct known {
  uint32_t busy, next;
  struct range range[RANGES];
};

static uint64_t generation;

void rf_memory_changed(void) { __atomic_fetch_add(&generation, 1, __ATOMIC_SEQ_CST); }

static struct known *known_of_thread(void) {
  struct rf_thread *thread = rf_tls.self;
  if (!thread || !thread->entry) return NULL;
  if (thread->validate_private || rf_quiet()) return thread->validate_private;
  long page = rf_syscall(SYS_mmap, 0, RF_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page > 0) thread->validate_private = (void *)page;
  return thread->validate_private;
}

static bool is_known(const struct known *known, uintptr_t start, uintptr_t end) {
  uint64_t now = 0, current = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
  for (uint32_t i = 0; i < RANGES; i++) {
    const struct range *range = &known->range[i];
    if (start < range->start || end > range->end || range->generation != current) continue;
    if (!now) now = rf_cycles();
    if (now < range->until) return true;
  }
  return false;
}

static void remember(struct known *known, uintptr_t start, uintptr_t end, uint64_t seen, uint64_t now) {
  for (uint32_t i = 0; i < RANGES; i++) { /* the next piece of the same array */
    struct range *range = &known->range[i];
    if (range->end != start || range->generation != seen || now >= range->until) continue;
    range->end = end;
    return;
  }
  known->range[known->next++ % RANGES] = (struct range){start, end, seen, now + FRESH_CYCLES};
}

static bool probe_pages(uintptr_t start, uintptr_t end, uintptr_t *bad) {
  for (uintptr_t page = start; page < end; page += RF_PAGE)
    if (!rf_page_readable(page)) {
      *bad = page;
      return false;
    }
  return true;
}

static bool probe(uintptr_t start, uintptr_t end, uintptr_t *bad) {
  if (end - start > SINGLE_PAGES * RF_PAGE && rf_syscall(SYS_madvise, start, end - start, POPULATE_READ) == 0)
    return true;
  return probe_pages(start, end, bad);
}

enum rf_readability rf_memory_readable(uintptr_t start, size_t bytes, uintptr_t *bad) {
  uintptr_t first = start & ~(uintptr_t)(RF_PAGE - 1),
            last = (start + bytes + RF_PAGE - 1) & ~(uintptr_t)(RF_PAGE - 1);
  if (!bytes) return RF_READABLE;
  *bad = start;
  if (start < LOWEST || start >= HIGHEST) return RF_UNREADABLE;
  if (start + bytes < start || start + bytes > HIGHEST) {
    last = HIGHEST;
    return probe_pages(first, last, bad) ? RF_READABLE : RF_UNREADABLE;
  }
  struct known *known = known_of_thread();
  bool mine = known && !known->busy;
  if (mine) {
    known->busy = 1;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
  }
  enum rf_readability answer = RF_READABLE;
  if (!mine || !is_known(known, first, last)) {
    uint64_t seen = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
    if (rf_quiet())
      answer = RF_NOT_KNOWN;
    else if (!probe(first, last, bad))
      answer = RF_UNREADABLE;
    else if (mine)
      remember(known, first, last, seen, rf_cycles());
  }
  if (mine) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    known->busy = 0;
  }
  if (*bad < start) *bad = start;
  return answer;
}
