/*
 * Through /proc/self/mem, which may write to read-only private mappings. Where a hardened kernel forbids
 * that, a patched copy of the page is mapped over it in one system call (mremap), so that no thread ever
 * finds it unexecutable. Pages for stubs are filled first and made executable then; where the process has
 * been forbidden to do that (PR_SET_MDWE, systemd's MemoryDenyWriteExecute), pages that are executable from
 * the beginning are filled through /proc/self/mem and take their place.
 */
#include "patch/text.h"

#include <errno.h>
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

/* Executable from the beginning, with the same contents. */
static long executable_copy(const void *pages, size_t bytes) {
  long copy = rf_syscall(SYS_mmap, 0, bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy < 0) return copy;
  bool opened = memory_fd < 0;
  rf_text_open();
  long written = rf_syscall(SYS_pwrite64, memory_fd, pages, bytes, copy);
  if (opened) rf_text_close();
  if (written == (long)bytes) return copy;
  rf_syscall(SYS_munmap, copy, bytes);
  return written < 0 ? written : -EIO;
}

int rf_text_seal(void *pages, size_t bytes) {
  long result = rf_syscall(SYS_mprotect, pages, bytes, PROT_READ | PROT_EXEC);
  if (result == 0) return 0;
  long copy = executable_copy(pages, bytes);
  if (copy < 0) return (int)result;
  result = rf_syscall(SYS_mremap, copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, pages);
  if (result < 0) rf_syscall(SYS_munmap, copy, bytes);
  return result < 0 ? (int)result : 0;
}

int rf_text_write_data(void *address, const void *bytes, size_t count) {
  if (memory_fd < 0) return -EBADF;
  long written = rf_syscall(SYS_pwrite64, memory_fd, bytes, count, address);
  return written == (long)count ? 0 : written < 0 ? (int)written : -EIO;
}

int rf_text_write(void *address, const void *bytes, size_t count) {
  if (rf_text_write_data(address, bytes, count) == 0) return 0;
  return write_copy((uintptr_t)address, bytes, count);
}
