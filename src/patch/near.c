/*
 * Finds room by asking for it at growing distances: below the module first, since the program break grows
 * above an executable; at both sides at most 1.5 GB away, which leaves 0.5 GB for what the moved instructions
 * refer to.
 */
#include "patch/near.h"

#include <sys/mman.h>

#include "arch/arch.h"

#define STEP ((uintptr_t)1 << 20)
#define REACH ((uintptr_t)3 << 29)
#define LOWEST ((uintptr_t)1 << 16)

static void *try_at(uintptr_t address, size_t bytes) {
  long got = rf_syscall(SYS_mmap, address, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (got == (long)address) return (void *)got;
  if (got > 0) rf_syscall(SYS_munmap, got, bytes); /* a kernel before 4.17 takes the address for a hint */
  return NULL;
}

void *rf_near_pages(uintptr_t low, uintptr_t high, size_t bytes) {
  low &= ~(uintptr_t)0xffff;
  high = (high + 0xffff) & ~(uintptr_t)0xffff;
  for (uintptr_t away = bytes; away < REACH && low > away + LOWEST; away += STEP) {
    void *pages = try_at(low - ((away + 0xffff) & ~(uintptr_t)0xffff), bytes);
    if (pages) return pages;
  }
  for (uintptr_t away = REACH; away > STEP && high + away > high; away -= STEP) {
    void *pages = try_at(high + away, bytes);
    if (pages) return pages;
  }
  return NULL;
}
