/* See loader.h. The executable's DT_DEBUG entry leads to the loader's struct r_debug. */
#include "elf/loader.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "arch/arch.h"

/* The executable, as the kernel tells every process. */
struct program {
  const Elf64_Phdr *headers, *dynamic;
  size_t count;
  uintptr_t load;
};

static struct program find_program(void) {
  struct program p = {.headers = (const Elf64_Phdr *)getauxval(AT_PHDR), .count = getauxval(AT_PHNUM)};
  for (size_t i = 0; p.headers && i < p.count; i++) {
    if (p.headers[i].p_type == PT_PHDR) p.load = (uintptr_t)p.headers - p.headers[i].p_vaddr;
    if (p.headers[i].p_type == PT_DYNAMIC) p.dynamic = &p.headers[i];
  }
  return p;
}

/* The value of a dynamic entry of the executable, 0 when there is none. */
static uintptr_t dynamic_value(const struct program *p, Elf64_Sxword tag) {
  if (!p->dynamic) return 0;
  for (const Elf64_Dyn *entry = (const Elf64_Dyn *)(p->load + p->dynamic->p_vaddr); entry->d_tag != DT_NULL;
       entry++)
    if (entry->d_tag == tag) return entry->d_un.d_ptr;
  return 0;
}

static const struct r_debug *find_debug(void) {
  struct program p = find_program();
  return (const struct r_debug *)dynamic_value(&p, DT_DEBUG);
}

bool rf_loader_in_program(const void *address) {
  struct program p = find_program();
  for (size_t i = 0; i < p.count; i++)
    if (p.headers[i].p_type == PT_LOAD &&
        (uintptr_t)address - (p.load + p.headers[i].p_vaddr) < p.headers[i].p_memsz)
      return true;
  return false;
}

void rf_loader_run_preinit(int argc, char **argv, char **envp) {
  typedef void preinit(int argc, char **argv, char **envp);
  struct program p = find_program();
  uintptr_t array = dynamic_value(&p, DT_PREINIT_ARRAY);
  size_t count = dynamic_value(&p, DT_PREINIT_ARRAYSZ) / sizeof(preinit *);
  for (size_t i = 0; array && i < count; i++) ((preinit **)(p.load + array))[i](argc, argv, envp);
}

uintptr_t rf_loader_notifier(void) {
  const struct r_debug *debug = find_debug();
  return debug ? debug->r_brk : 0;
}

bool rf_loader_consistent(void) {
  const struct r_debug *debug = find_debug();
  return debug && debug->r_state == RT_CONSISTENT;
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return rf_syscall(SYS_newfstatat, AT_FDCWD, a, &x, 0) == 0 &&
         rf_syscall(SYS_newfstatat, AT_FDCWD, b, &y, 0) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

const char *rf_loader_program_path(void) {
  const char *called = (const char *)getauxval(AT_EXECFN);
  return called && same_file(called, "/proc/self/exe") ? called : NULL;
}

bool rf_loader_started_by_kernel(void) { return getauxval(AT_BASE) != 0; }

const char *rf_loader_program_name(void) {
  const char *called = rf_loader_program_path();
  if (!called) return NULL;
  const char *slash = strrchr(called, '/');
  const char *name = slash ? slash + 1 : called;
  return *name && strcmp(name, "exe") != 0 ? name : NULL; /* not /proc/self/exe itself */
}
