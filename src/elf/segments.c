/* A module's executable segments, from its program headers in memory. */
#include <elf.h>

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
