/*
 * Through /proc/self/mem, which may write to read-only private mappings. Where a hardened kernel forbids
 * that, a patched copy of the page is mapped over it in one system call (mremap), so that no thread ever
 * finds it unexecutable.
 */
#include "patch/text.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"

#define PAGE ((uintptr_t)4096)

static int memory_fd = -1;

bool rf_text_open(void) {
  if (memory_fd < 0) memory_fd = (int)rf_syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR | O_CLOEXEC);
  return true;
}

void rf_text_close(void) {
  if (memory_fd >= 0) rf_syscall(SYS_close, memory_fd);
  memory_fd = -1;
}

static int write_copy(uintptr_t address, const void *bytes, size_t count) {
  uintptr_t first = address & ~(PAGE - 1), span = ((address + count + PAGE - 1) & ~(PAGE - 1)) - first;
  long copy = rf_syscall(SYS_mmap, 0, span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy < 0) return (int)copy;
  memcpy((void *)copy, (const void *)first, span);
  memcpy((char *)copy + (address - first), bytes, count);
  long result = rf_syscall(SYS_mprotect, copy, span, PROT_READ | PROT_EXEC);
  if (result == 0) result = rf_syscall(SYS_mremap, copy, span, span, MREMAP_MAYMOVE | MREMAP_FIXED, first);
  if (result < 0) rf_syscall(SYS_munmap, copy, span);
  return result < 0 ? (int)result : 0;
}

int rf_text_write(void *address, const void *bytes, size_t count) {
  if (memory_fd >= 0) {
    long written = rf_syscall(SYS_pwrite64, memory_fd, bytes, count, address);
    if (written == (long)count) return 0;
  }
  return write_copy((uintptr_t)address, bytes, count);
}
