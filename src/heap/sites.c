/* See sites.h. */
#include "heap/sites.h"

#include <sys/mman.h>

#include "arch/arch.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/signals.h"
#include "heap/blocks.h"
#include "recording/writer.h"

#define PER_PAGE 1024u /* places in a page of rf_site_parts */
#define PAGES (RF_WORD_SITES / PER_PAGE)
#define SITES_PER_CHUNK 128
#define PARTS_PER_CHUNK 32
#define FOLD_BYTES (64 << 10)

/* By number: where the site's entry is. Pages of it are made as numbers are given out. In wiped memory. */
struct numbers {
  struct rf_lock lock;
  uint32_t count; /* given out; numbers start at 1 */
  rf_ref *page[PAGES];
};

static struct numbers *numbers;
static bool sampling;
static struct rf_header *header; /* the recording in this process */

static inline void *at(rf_ref ref) { return (char *)header + ref; }

static rf_ref *new_page(void) {
  rf_ref *page = rf_pages(PER_PAGE * sizeof *page);
  if (page) rf_syscall(SYS_madvise, page, PER_PAGE * sizeof *page, MADV_DONTFORK);
  return page;
}

struct rf_site_entry *rf_sites_entry(uint32_t site) {
  return at(numbers->page[site / PER_PAGE][site % PER_PAGE]);
}

/* Under the lock. 0: no room. */
static uint32_t append(rf_ref stack) {
  uint32_t number = numbers->count + 1;
  if (number >= RF_WORD_SITES) return 0;
  rf_ref **page = &numbers->page[number / PER_PAGE];
  if (!*page && !(*page = new_page())) return 0;
  rf_ref *root = rf_recording_root(RF_TABLE_SITE);
  struct rf_site_entry *entry = rf_table_append(root, RF_TABLE_SITE, sizeof *entry, SITES_PER_CHUNK);
  if (!entry) return 0;
  entry->stack = stack;
  entry->flags = sampling ? RF_SITE_SAMPLED : 0;
  (*page)[number % PER_PAGE] = rf_recording_ref(entry);
  rf_table_publish(*root);
  return numbers->count = number;
}

bool rf_sites_start(bool sampled) {
  header = rf_recording_header();
  sampling = sampled;
  if (!numbers) {
    numbers = rf_pages(sizeof *numbers);
    if (numbers) rf_syscall(SYS_madvise, numbers, sizeof *numbers, MADV_WIPEONFORK);
  }
  return numbers && append(RF_STACK_END) == 1;
}

static uint32_t new_number(struct rf_stack_node *node, rf_ref stack) {
  uint64_t mask = rf_signals_block();
  rf_lock_take(&numbers->lock);
  uint32_t number = node->site;
  if (!number && (number = append(stack))) __atomic_store_n(&node->site, number, __ATOMIC_RELEASE);
  rf_lock_give(&numbers->lock);
  rf_signals_restore(mask);
  return number;
}

uint32_t rf_sites_number(rf_ref stack) {
  struct rf_stack_node *node = stack > RF_STACK_CUT ? at(stack) : NULL;
  uint32_t number = node ? __atomic_load_n(&node->site, __ATOMIC_ACQUIRE) : 0;
  if (!number && node) number = new_number(node, stack);
  if (number) return number;
  __atomic_fetch_add(&header->dropped_sites, 1, __ATOMIC_RELAXED);
  return 1;
}

static struct rf_site_part *new_part(struct rf_thread *thread, rf_ref **page, uint32_t site) {
  uint64_t mask = rf_signals_block();
  rf_ref *root = &thread->entry->site_parts;
  struct rf_site_part *part = NULL;
  if (!*page) *page = new_page();
  if (*page && (*page)[site % PER_PAGE])
    part = at((*page)[site % PER_PAGE]); /* a handler's */
  else if (*page && (part = rf_table_append(root, RF_TABLE_SITE_PART, sizeof *part, PARTS_PER_CHUNK))) {
    part->site = site;
    (*page)[site % PER_PAGE] = rf_recording_ref(part);
    rf_table_publish(*root);
  }
  rf_signals_restore(mask);
  if (!part) __atomic_fetch_add(&header->dropped_sites, 1, __ATOMIC_RELAXED);
  return part;
}

/* NULL: it has none yet. */
static inline struct rf_site_part *find_part(const struct rf_site_parts *parts, uint32_t site) {
  const rf_ref *page = parts->page ? parts->page[site / PER_PAGE] : NULL;
  return page && page[site % PER_PAGE] ? at(page[site % PER_PAGE]) : NULL;
}

static __attribute__((noinline)) struct rf_site_part *make_part(struct rf_thread *thread,
                                                                struct rf_site_parts *parts, uint32_t site) {
  if (!parts->page && !(parts->page = rf_pages(PAGES * sizeof *parts->page))) return NULL;
  struct rf_site_part *part = new_part(thread, &parts->page[site / PER_PAGE], site);
  return part || site == 1 ? part : rf_sites_part(thread, parts, 1);
}

struct rf_site_part *rf_sites_part(struct rf_thread *thread, struct rf_site_parts *parts, uint32_t site) {
  struct rf_site_part *part = find_part(parts, site);
  return __builtin_expect(part != NULL, 1) ? part : make_part(thread, parts, site);
}

static int64_t live_of(const struct rf_site_part *part) {
  return (int64_t)(part->alloc_bytes - part->free_bytes);
}

static void fold(struct rf_site_part *part, int64_t live) {
  struct rf_site_entry *entry = rf_sites_entry(part->site);
  int64_t rest = live - part->folded, highest = part->high > live ? part->high - part->folded : rest;
  part->folded = part->high = live;
  int64_t candidate = __atomic_fetch_add(&entry->folded_bytes, rest, __ATOMIC_RELAXED) + highest;
  int64_t peak = __atomic_load_n(&entry->peak_bytes, __ATOMIC_RELAXED);
  while (candidate > peak && !__atomic_compare_exchange_n(&entry->peak_bytes, &peak, candidate, true,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

/* Before the first change after a new peak of the process: what lives now did so at the peak. */
static void keep_peak(struct rf_site_part *part) {
  uint64_t epoch = __atomic_load_n(&header->heap_peak_epoch, __ATOMIC_RELAXED);
  if (part->epoch == epoch) return;
  part->at_peak_bytes = live_of(part);
  part->epoch = epoch;
}

void rf_site_alloc(struct rf_site_part *part, uint64_t calls, uint64_t requested, uint64_t bytes) {
  keep_peak(part);
  rf_local_add(&part->alloc_calls, calls);
  rf_local_add(&part->requested_bytes, requested);
  rf_local_add(&part->alloc_bytes, bytes);
  int64_t live = live_of(part);
  if (live <= part->high) return;
  part->high = live;
  if (live - part->folded > FOLD_BYTES) fold(part, live);
}

void rf_site_free(struct rf_site_part *part, uint64_t calls, uint64_t bytes) {
  keep_peak(part);
  rf_local_add(&part->free_calls, calls);
  rf_local_add(&part->free_bytes, bytes);
  int64_t live = live_of(part);
  if (live - part->folded < -FOLD_BYTES) fold(part, live);
}
