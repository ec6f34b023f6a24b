/*
 * librefunc_jemalloc.so: Debian's static jemalloc, its names hidden behind one table (heap/jemalloc.h).
 *
 * Its public functions are renamed to rf_je_*, and what it asks of the kernel to the functions below: its
 * mappings all lie in one range, so that a block can be told by its address, and they are not taken for
 * mappings of the app's own.
 */
#undef _FILE_OFFSET_BITS

#include "heap/jemalloc.h"

#include <errno.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "preload/export.h"

#define STEP ((uintptr_t)2 << 20) /* a huge page: places begin at multiples of it */
#define TRIES 64

void *rf_je_malloc(size_t bytes);
void *rf_je_calloc(size_t count, size_t bytes);
void *rf_je_realloc(void *block, size_t bytes);
void rf_je_free(void *block);
void *rf_je_memalign(size_t alignment, size_t bytes);
int rf_je_posix_memalign(void **block, size_t alignment, size_t bytes);
size_t rf_je_malloc_usable_size(void *block);
int rf_je_mallctl(const char *name, void *old, size_t *old_bytes, void *fresh, size_t fresh_bytes);
void *rf_je_mmap(void *start, size_t bytes, int protection, int flags, int fd, off_t offset);
int rf_je_munmap(void *start, size_t bytes);
int rf_je_mprotect(void *start, size_t bytes, int protection);
void *rf_je_sbrk(intptr_t change);

extern const struct rf_jemalloc_api rf_jemalloc;
EXPORT const struct rf_jemalloc_api rf_jemalloc = {
    sizeof rf_jemalloc, rf_je_malloc,   rf_je_calloc,         rf_je_realloc,
    rf_je_free,         rf_je_memalign, rf_je_posix_memalign, rf_je_malloc_usable_size,
    rf_je_mallctl};

static long answer(long result) {
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}

/* ---- places ---- */

/* A beginning of its own for each process, within the first half of the range. */
static uintptr_t first_place(void) {
  const uint32_t *random = (const uint32_t *)getauxval(AT_RANDOM);
  return RF_JEMALLOC_BASE + (random ? *random : 0) % (RF_JEMALLOC_SPAN / STEP / 2) * STEP;
}

/* The next place for so many bytes. Those that were given back are come by again once the range has been
 * gone through. */
static uintptr_t next_place(size_t bytes) {
  static uintptr_t next;
  uintptr_t size = (bytes + STEP - 1) & ~(STEP - 1), end = RF_JEMALLOC_BASE + RF_JEMALLOC_SPAN;
  uintptr_t place = __atomic_load_n(&next, __ATOMIC_RELAXED), chosen;
  do {
    chosen = place ? place : first_place();
    if (size > end - chosen) chosen = RF_JEMALLOC_BASE;
  } while (
      !__atomic_compare_exchange_n(&next, &place, chosen + size, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return chosen;
}

/* Exactly there, or not at all. Kernels before 4.17 take the address for a wish. */
static long map_at(uintptr_t place, size_t bytes, int protection, int flags) {
  long at = rf_syscall(SYS_mmap, place, bytes, protection, flags | MAP_FIXED_NOREPLACE, -1, 0);
  if (at < 0 || (uintptr_t)at == place) return at;
  rf_syscall(SYS_munmap, at, bytes);
  return -EEXIST;
}

void *rf_je_mmap(void *start, size_t bytes, int protection, int flags, int fd, off_t offset) {
  (void)fd, (void)offset; /* it maps no files */
  long at = -ENOMEM;
  if (flags & MAP_FIXED)
    at = rf_syscall(SYS_mmap, start, bytes, protection, flags, -1, 0);
  else if (start)
    at = rf_jemalloc_holds(start) ? map_at((uintptr_t)start, bytes, protection, flags) : -ENOMEM;
  else
    for (int i = 0; i < TRIES && bytes <= RF_JEMALLOC_SPAN / 2; i++) {
      at = map_at(next_place(bytes), bytes, protection, flags);
      if (at != -EEXIST) break;
    }
  return (void *)answer(at);
}

int rf_je_munmap(void *start, size_t bytes) { return (int)answer(rf_syscall(SYS_munmap, start, bytes)); }

int rf_je_mprotect(void *start, size_t bytes, int protection) {
  return (int)answer(rf_syscall(SYS_mprotect, start, bytes, protection));
}

/* The program break is the app's. */
void *rf_je_sbrk(intptr_t change) {
  (void)change;
  errno = ENOMEM;
  return (void *)-1;
}
