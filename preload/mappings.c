/*
 * The app's own mappings, interposed: what it asks mmap for beside the heap. libc's and the loader's calls
 * don't come by here, so nothing is counted twice. Memory that goes is told to the unwinder, whose threads
 * then look again before they read old stacks.
 *
 * Until the next definitions are known (another library may have its own), and without any, the kernel is
 * asked directly.
 */
#undef _FILE_OFFSET_BITS /* mmap and mmap64 are two symbols here */

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/thread.h"
#include "heap/counters.h"
#include "preload/export.h"
#include "preload/mappings.h"
#include "preload/next.h"
#include "unwind/unwind.h"
#include "validate/memory.h"

#define PAGE 4096ul

static struct {
  void *(*mmap)(void *, size_t, int, int, int, off_t);
  void *(*mmap64)(void *, size_t, int, int, int, off_t);
  int (*munmap)(void *, size_t);
  void *(*mremap)(void *, size_t, size_t, int, ...);
  int (*mprotect)(void *, size_t, int);
} next;

void rf_mappings_find(void) {
  next.mmap = NEXT(mmap);
  next.mmap64 = NEXT(mmap64);
  next.munmap = NEXT(munmap);
  next.mremap = (void *(*)(void *, size_t, size_t, int, ...))NEXT(mremap);
  next.mprotect = NEXT(mprotect);
}

/* Whoever remembers what can be read looks again. */
static void memory_changed(void) {
  rf_unwind_memory_changed();
  rf_memory_changed();
}

static long answer(long result) {
  if (result >= 0 || result < -4095) return result;
  errno = (int)-result;
  return -1;
}

/* Bytes of whole pages that came and went by one successful call of the app. */
static void count(size_t mapped, size_t unmapped) {
  if (rf_tls.internal) return;
  int error = errno;
  struct rf_thread *thread = rf_heap_thread();
  if (thread) {
    rf_local_add(&thread->heap->mmap_bytes, (mapped + PAGE - 1) & ~(PAGE - 1));
    rf_local_add(&thread->heap->munmap_bytes, (unmapped + PAGE - 1) & ~(PAGE - 1));
  }
  errno = error;
}

static void *mapped(void *start, size_t bytes, int flags) {
  if (start != MAP_FAILED) count(bytes, 0);
  if (start != MAP_FAILED && flags & MAP_FIXED) memory_changed();
  return start;
}

EXPORT void *mmap(void *start, size_t bytes, int protection, int flags, int fd, off_t offset) {
  void *at = next.mmap ? next.mmap(start, bytes, protection, flags, fd, offset)
                       : (void *)answer(rf_syscall(SYS_mmap, start, bytes, protection, flags, fd, offset));
  return mapped(at, bytes, flags);
}

EXPORT void *mmap64(void *start, size_t bytes, int protection, int flags, int fd, off_t offset) {
  void *at = next.mmap64 ? next.mmap64(start, bytes, protection, flags, fd, offset)
                         : (void *)answer(rf_syscall(SYS_mmap, start, bytes, protection, flags, fd, offset));
  return mapped(at, bytes, flags);
}

EXPORT int munmap(void *start, size_t bytes) {
  int result = next.munmap ? next.munmap(start, bytes) : (int)answer(rf_syscall(SYS_munmap, start, bytes));
  if (result == 0) {
    memory_changed();
    count(0, bytes);
  }
  return result;
}

EXPORT void *mremap(void *start, size_t before, size_t bytes, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  void *place = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
  va_end(arguments);
  void *at = next.mremap ? next.mremap(start, before, bytes, flags, place)
                         : (void *)answer(rf_syscall(SYS_mremap, start, before, bytes, flags, place));
  if (at != MAP_FAILED) {
    memory_changed();
    count(bytes, before);
  }
  return at;
}

EXPORT int mprotect(void *start, size_t bytes, int protection) {
  int result = next.mprotect ? next.mprotect(start, bytes, protection)
                             : (int)answer(rf_syscall(SYS_mprotect, start, bytes, protection));
  if (result == 0 && !(protection & PROT_READ)) memory_changed();
  return result;
}
