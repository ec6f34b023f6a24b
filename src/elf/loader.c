/* See loader.h. The executable's DT_DEBUG entry leads to the loader's struct r_debug. */
#include "elf/loader.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <sys/auxv.h>

static const struct r_debug *find_debug(void) {
  const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR), *dynamic = NULL;
  size_t count = getauxval(AT_PHNUM);
  uintptr_t load = 0;
  for (size_t i = 0; headers && i < count; i++) {
    if (headers[i].p_type == PT_PHDR) load = (uintptr_t)headers - headers[i].p_vaddr;
    if (headers[i].p_type == PT_DYNAMIC) dynamic = &headers[i];
  }
  if (!dynamic) return NULL;
  for (const Elf64_Dyn *entry = (const Elf64_Dyn *)(load + dynamic->p_vaddr); entry->d_tag != DT_NULL; entry++)
    if (entry->d_tag == DT_DEBUG) return (const struct r_debug *)entry->d_un.d_ptr;
  return NULL;
}

uintptr_t rf_loader_notifier(void) {
  const struct r_debug *debug = find_debug();
  return debug ? debug->r_brk : 0;
}

bool rf_loader_consistent(void) {
  const struct r_debug *debug = find_debug();
  return debug && debug->r_state == RT_CONSISTENT;
}
