/*
 * See data.h. Read-only pages become writable for a moment: a store of 8 bytes is one for every reader, which
 * is not promised of the kernel's copying into /proc/self/mem. That is left for where protections are sealed.
 */
#include "patch/data.h"

#include <elf.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "elf/dynamic.h"
#include "patch/text.h"

#define PAGE ((uintptr_t)4096)

int rf_data_protection(const struct rf_dynamic *d, uintptr_t address, bool relocated) {
  const Elf64_Phdr *headers = d->module.program_headers;
  uintptr_t first = d->protected.start & ~(PAGE - 1), end = d->protected.end & ~(PAGE - 1);
  bool closed = relocated && address >= first && address < end;
  for (size_t i = 0; i < d->module.program_header_count; i++) {
    uintptr_t offset = address - d->module.load_address - headers[i].p_vaddr;
    uint32_t flags = headers[i].p_flags;
    if (headers[i].p_type != PT_LOAD || offset >= headers[i].p_memsz) continue;
    return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W && !closed ? PROT_WRITE : 0) |
           (flags & PF_X && !closed ? PROT_EXEC : 0);
  }
  return 0;
}

static bool exchange(uintptr_t address, uint64_t before, uint64_t after) {
  return __atomic_compare_exchange_n((uint64_t *)address, &before, after, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
}

bool rf_data_replace(uintptr_t address, uint64_t before, uint64_t after, int protection) {
  uintptr_t page = address & ~(PAGE - 1);
  if (!protection || address % sizeof before) return false;
  if (protection & PROT_WRITE) return exchange(address, before, after);
  if (rf_syscall(SYS_mprotect, page, PAGE, protection | PROT_WRITE) != 0)
    return *(const uint64_t *)address == before &&
           rf_text_write_data((void *)address, &after, sizeof after) == 0;
  bool replaced = exchange(address, before, after);
  rf_syscall(SYS_mprotect, page, PAGE, protection);
  return replaced;
}
