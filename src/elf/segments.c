/* A module's segments, from its program headers in memory. */
#include <elf.h>
#include <sys/auxv.h>

#include "elf/module.h"

size_t rf_module_text_segments(const struct rf_module *module, struct rf_segment *segments, size_t most) {
  const Elf64_Phdr *headers = module->program_headers;
  size_t count = 0;
  for (size_t i = 0; i < module->program_header_count && count < most; i++) {
    const Elf64_Phdr *header = &headers[i];
    if (header->p_type != PT_LOAD || !(header->p_flags & PF_X) || !(header->p_flags & PF_R)) continue;
    uintptr_t start = module->load_address + header->p_vaddr;
    segments[count++] = (struct rf_segment){start, start + header->p_filesz};
  }
  return count;
}

/* With these of the flags for reading and writing. */
static size_t bytes_behind(const struct rf_module *module, uintptr_t address, uint32_t mask, uint32_t flags) {
  const Elf64_Phdr *headers = module->program_headers;
  for (size_t i = 0; i < module->program_header_count; i++) {
    uintptr_t start = module->load_address + headers[i].p_vaddr;
    if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & mask) == flags &&
        address - start < headers[i].p_filesz)
      return headers[i].p_filesz - (address - start);
  }
  return 0;
}

size_t rf_module_readable(const struct rf_module *module, uintptr_t address) {
  return bytes_behind(module, address, PF_R, PF_R);
}

size_t rf_module_constant(const struct rf_module *module, uintptr_t address) {
  return bytes_behind(module, address, PF_R | PF_W, PF_R);
}

struct rf_segment rf_module_hull(const struct rf_module *module) {
  const Elf64_Phdr *headers = module->program_headers;
  struct rf_segment hull = {UINTPTR_MAX, 0};
  for (size_t i = 0; i < module->program_header_count; i++) {
    uintptr_t start = module->load_address + headers[i].p_vaddr, end = start + headers[i].p_filesz;
    if (headers[i].p_type != PT_LOAD) continue;
    if (start < hull.start) hull.start = start;
    if (end > hull.end) hull.end = end;
  }
  return hull;
}

uintptr_t rf_module_pointer(const struct rf_module *module, uintptr_t value) {
  if (value == 0 || rf_module_readable(module, value) > 0) return value;
  uintptr_t moved = module->load_address + value;
  return rf_module_readable(module, moved) > 0 ? moved : 0;
}

size_t rf_vdso_bytes(uintptr_t address) {
  const Elf64_Ehdr *vdso = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
  if (!vdso) return 0;
  const Elf64_Phdr *headers = (const Elf64_Phdr *)((const char *)vdso + vdso->e_phoff);
  for (size_t i = 0; i < vdso->e_phnum; i++) {
    uintptr_t offset = address - (uintptr_t)vdso - headers[i].p_offset;
    if (headers[i].p_type == PT_LOAD && offset < headers[i].p_filesz) return headers[i].p_filesz - offset;
  }
  return 0;
}
