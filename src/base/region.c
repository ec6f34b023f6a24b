/*
 * Address space for Refunc's own heap. Few contiguous reservations (nearly always one), so that "is this
 * block ours?" is a subtraction and a comparison:
 *
 *   regions[0]          start                                     start + 2^order
 *   ┌─────────────┐     ┌──────────────────────┬───────────────────────────────┐
 *   │start | order│ ──▶ │ taken (rw)           │ reserved (PROT_NONE)          │
 *   └─────────────┘     └──────────────────────┴───────────────────────────────┘
 *                                              ▲ taken[0], moved by compare-and-swap
 *
 * A region is published by one store of one word, and space is taken from it by one compare-and-swap, so
 * threads and signal handlers never wait here and a forked child finds nothing half done. What is reserved
 * costs no memory, but it counts against RLIMIT_AS: it stays under a sixteenth of that limit where there is
 * one, and modest where there is none, since the app may set one later.
 */
#include "base/region.h"

#include <linux/mman.h>
#include <stdint.h>
#include <sys/resource.h>

#include "arch/arch.h"
#include "base/far.h"
#include "base/memory.h"

#define REGIONS 16u
/* A region's start is page-aligned, so its low bits hold the binary logarithm of its size. */
#define ORDER_MASK 63ul
#define ORDER_MIN 20u
#define ORDER_FIRST 28u

static uint64_t regions[REGIONS];
uintptr_t rf_owned_low = UINTPTR_MAX, rf_owned_high; /* around all regions; they only move apart */
static size_t taken[REGIONS];
static size_t in_use;

static uint64_t region_start(uint64_t region) { return region & ~ORDER_MASK; }
static size_t region_bytes(uint64_t region) { return (size_t)1 << (region & ORDER_MASK); }

bool rf_owns_exactly(uintptr_t block) {
  for (unsigned i = 0; i < REGIONS; i++) {
    uint64_t region = __atomic_load_n(&regions[i], __ATOMIC_RELAXED);
    if (!region) return false;
    if (block - region_start(region) < region_bytes(region)) return true;
  }
  return false;
}

/* Moves the bounds apart for a region that is about to be published. */
static void include_bounds(uintptr_t low, uintptr_t high) {
  uintptr_t old = __atomic_load_n(&rf_owned_low, __ATOMIC_RELAXED);
  while (low < old &&
         !__atomic_compare_exchange_n(&rf_owned_low, &old, low, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
  old = __atomic_load_n(&rf_owned_high, __ATOMIC_RELAXED);
  while (high > old &&
         !__atomic_compare_exchange_n(&rf_owned_high, &old, high, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}

/* Marked as left out of core dumps, which also tells it from the app's memory in /proc/self/smaps and keeps
 * the kernel from joining the two. */
static void *map(size_t bytes, int protection) {
  long at = rf_syscall(SYS_mmap, rf_far_hint(64), bytes, protection,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at < 0 && at > -4096) return NULL;
  rf_syscall(SYS_madvise, at, bytes, MADV_DONTDUMP);
  return (void *)at;
}

/* How much one region may reserve under the process's address space limit, as an order. */
static unsigned order_allowed(unsigned wanted) {
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  if (rf_syscall(SYS_prlimit64, 0, RLIMIT_AS, 0, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
    return wanted;
  while (wanted > ORDER_MIN && ((rlim_t)1 << wanted) > limit.rlim_cur / 16) wanted--;
  return wanted;
}

/* Reserves region number i, large enough for bytes. Another thread may have been faster, which is as good. */
static bool region_add(unsigned i, size_t bytes) {
  unsigned needed = ORDER_MIN;
  while (((size_t)1 << needed) < bytes) needed++;
  unsigned order = order_allowed(ORDER_FIRST + i / 2);
  for (order = order < needed ? needed : order; order >= needed; order--) {
    void *start = map((size_t)1 << order, PROT_NONE);
    if (!start) continue;
    include_bounds((uintptr_t)start, (uintptr_t)start + ((size_t)1 << order));
    uint64_t nobody = 0;
    if (!__atomic_compare_exchange_n(&regions[i], &nobody, (uint64_t)(uintptr_t)start | order, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
      rf_syscall(SYS_munmap, start, (size_t)1 << order);
    return true;
  }
  return false;
}

/* Moves the mark of region i by bytes. NULL when it is full or the kernel refuses. */
static void *take_from(unsigned i, uint64_t region, size_t bytes) {
  size_t old = __atomic_load_n(&taken[i], __ATOMIC_RELAXED);
  do {
    if (bytes > region_bytes(region) - old) return NULL;
  } while (
      !__atomic_compare_exchange_n(&taken[i], &old, old + bytes, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  void *start = (void *)(uintptr_t)(region_start(region) + old);
  if (rf_syscall(SYS_mprotect, start, bytes, PROT_READ | PROT_WRITE) < 0) {
    size_t end = old + bytes;
    __atomic_compare_exchange_n(&taken[i], &end, old, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return NULL;
  }
  __atomic_fetch_add(&in_use, bytes, __ATOMIC_RELAXED);
  return start;
}

void *rf_region_take(size_t bytes) {
  for (unsigned i = 0; i < REGIONS; i++) {
    uint64_t region = __atomic_load_n(&regions[i], __ATOMIC_ACQUIRE);
    if (!region && !region_add(i, bytes)) return NULL;
    void *start = take_from(i, __atomic_load_n(&regions[i], __ATOMIC_ACQUIRE), bytes);
    if (start) return start;
  }
  return NULL;
}

bool rf_region_drop(void *start, size_t bytes) {
  return rf_syscall(SYS_madvise, start, bytes, MADV_DONTNEED) == 0;
}

void *rf_pages(size_t bytes) {
  if (bytes == 0 || bytes > PTRDIFF_MAX) return NULL;
  bytes = (bytes + RF_PAGE - 1) & ~(size_t)(RF_PAGE - 1);
  void *start = map(bytes, PROT_READ | PROT_WRITE);
  if (start) __atomic_fetch_add(&in_use, bytes, __ATOMIC_RELAXED);
  return start;
}

void rf_pages_free(void *start, size_t bytes) {
  if (!start) return;
  bytes = (bytes + RF_PAGE - 1) & ~(size_t)(RF_PAGE - 1);
  if (rf_syscall(SYS_munmap, start, bytes) == 0) __atomic_fetch_sub(&in_use, bytes, __ATOMIC_RELAXED);
}

size_t rf_memory_bytes(void) { return __atomic_load_n(&in_use, __ATOMIC_RELAXED); }
