/*
 * Which modules are loaded. Their list comes from the loader and their paths from the kernel, since the
 * loader's names may be links, relative, or empty (the main program):
 *
 *   dl_iterate_phdr ──▶ address, program headers ─┐
 *   r_debug (other namespaces' link maps) ────────┤
 *                                                 ├──▶ struct rf_module ──▶ visit
 *   /proc/self/fd, /proc/self/maps ──▶ path ──────┘
 *
 * The list is complete before the first visit, so that no lock of the loader is held while visitors work.
 * Paths are remembered: a program that opens a hundred plugins has its maps read once for each, not once for
 * each module of each.
 */
#include "elf/module.h"

#include "elf/loader.h"

#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "arch/arch.h"
#include "base/lock.h"
#include "base/memory.h"
#include "elf/image.h"

struct entry {
  struct rf_module module;
  char *link_name; /* as the loader calls it */
  char *path;      /* what module.path and .name point into */
};

struct list {
  struct entry *entries;
  size_t count, capacity;
};

/* ---- The loader's side ---- */

static const Elf64_Phdr *header_of_type(const struct rf_module *module, uint32_t type, size_t from) {
  const Elf64_Phdr *headers = module->program_headers;
  for (size_t i = from; i < module->program_header_count; i++)
    if (headers[i].p_type == type) return &headers[i];
  return NULL;
}

static bool segment_holds(const struct rf_module *module, const Elf64_Phdr *wanted) {
  const Elf64_Phdr *headers = module->program_headers;
  for (size_t i = 0; i < module->program_header_count; i++)
    if (headers[i].p_type == PT_LOAD && wanted->p_vaddr >= headers[i].p_vaddr &&
        wanted->p_vaddr - headers[i].p_vaddr < headers[i].p_filesz &&
        wanted->p_filesz <= headers[i].p_filesz - (wanted->p_vaddr - headers[i].p_vaddr))
      return true;
  return false;
}

static void find_text(struct rf_module *module) {
  const Elf64_Phdr *headers = module->program_headers;
  module->text_start = UINTPTR_MAX;
  for (size_t i = 0; i < module->program_header_count; i++) {
    if (headers[i].p_type != PT_LOAD || !(headers[i].p_flags & PF_X)) continue;
    uintptr_t start = module->load_address + headers[i].p_vaddr, end = start + headers[i].p_memsz;
    if (start < module->text_start) module->text_start = start;
    if (end > module->text_end) module->text_end = end;
  }
  if (module->text_start > module->text_end) module->text_start = module->text_end;
}

static void find_build_id(struct rf_module *module) {
  const Elf64_Phdr *headers = module->program_headers;
  for (size_t i = 0; i < module->program_header_count && module->build_id_bytes == 0; i++) {
    if (headers[i].p_type != PT_NOTE || !segment_holds(module, &headers[i])) continue;
    const void *notes = (const void *)(module->load_address + headers[i].p_vaddr);
    module->build_id_bytes =
        (uint32_t)rf_notes_build_id(notes, headers[i].p_filesz, headers[i].p_align, module->build_id);
  }
}

static bool append(struct list *list, const struct rf_module *module, const char *link_name) {
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? 2 * list->capacity : 32;
    struct entry *grown = rf_realloc(list->entries, capacity * sizeof *grown);
    if (!grown) return false;
    list->entries = grown;
    list->capacity = capacity;
  }
  struct entry *entry = &list->entries[list->count];
  *entry = (struct entry){.module = *module, .link_name = rf_strdup(link_name)};
  if (!entry->link_name) return false;
  find_text(&entry->module);
  find_build_id(&entry->module);
  list->count++;
  return true;
}

/* Refunc's own library; a program that has this code linked in is no such thing. */
static bool is_ours(const struct entry *entry) {
  uintptr_t here = (uintptr_t)&rf_modules_visit;
  return here >= entry->module.text_start && here < entry->module.text_end && entry->link_name[0] != '\0';
}

static bool listed(const struct list *list, uintptr_t load_address) {
  for (size_t i = 0; i < list->count; i++)
    if (list->entries[i].module.load_address == load_address) return true;
  return false;
}

/* The program headers of a link map's object: behind the ELF header, which begins the lowest segment. */
static bool headers_of_map(const struct link_map *map, struct rf_module *module) {
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)map->l_addr;
  if (map->l_addr == 0 || !map->l_ld || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return false;
  if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff > 4096 - sizeof(Elf64_Phdr)) return false;
  *module = (struct rf_module){.load_address = map->l_addr,
                               .program_headers = (const char *)header + header->e_phoff,
                               .program_header_count = header->e_phnum};
  const Elf64_Phdr *dynamic = header_of_type(module, PT_DYNAMIC, 0);
  return dynamic && (const char *)map->l_ld == (const char *)header + dynamic->p_vaddr;
}

/* struct r_debug_extended of glibc 2.35: since version 2 every namespace's list leads to the next. */
struct debug_extended {
  struct r_debug base;
  struct debug_extended *next;
};

static const struct r_debug *loader_debug(const struct rf_module *program) {
  const Elf64_Phdr *dynamic = header_of_type(program, PT_DYNAMIC, 0);
  if (!dynamic) return NULL;
  const Elf64_Dyn *entry = (const Elf64_Dyn *)(program->load_address + dynamic->p_vaddr);
  for (; entry->d_tag != DT_NULL; entry++)
    if (entry->d_tag == DT_DEBUG) return (const struct r_debug *)entry->d_un.d_ptr;
  return NULL;
}

/* Modules that dlmopen loaded. The loader itself appears in every namespace but is one. */
static void collect_namespaces(struct list *list, const struct rf_module *program) {
  const struct r_debug *debug = loader_debug(program);
  if (!debug || debug->r_version < 2) return;
  for (struct debug_extended *space = ((const struct debug_extended *)debug)->next; space;
       space = space->next)
    for (const struct link_map *map = space->base.r_map; map; map = map->l_next) {
      struct rf_module module;
      if (listed(list, map->l_addr) || !headers_of_map(map, &module)) continue;
      module.elsewhere = true;
      append(list, &module, map->l_name);
    }
}

/* The first object is the program; while this runs the loader lets no list change. */
static int collect(struct dl_phdr_info *info, size_t size, void *user) {
  struct list *list = user;
  struct rf_module module = {.load_address = info->dlpi_addr,
                             .program_headers = info->dlpi_phdr,
                             .program_header_count = info->dlpi_phnum};
  return append(list, &module, info->dlpi_name ? info->dlpi_name : "") ? 0 : 1;
}

static int collect_others(struct dl_phdr_info *info, size_t size, void *user) {
  struct list *list = user;
  if (list->count > 0) collect_namespaces(list, &list->entries[0].module);
  return 1;
}

/* ---- The kernel's side ---- */

struct maps {
  char *text; /* NULL: not read */
  size_t length, capacity;
};

static bool maps_grow(struct maps *maps) {
  size_t capacity = maps->capacity ? 2 * maps->capacity : 65536;
  char *text = rf_realloc(maps->text, capacity);
  if (!text) return false;
  maps->text = text;
  maps->capacity = capacity;
  return true;
}

static void maps_read(struct maps *maps) {
  *maps = (struct maps){0};
  int fd = (int)rf_syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return;
  for (;;) {
    if (maps->length + 4096 >= maps->capacity && !maps_grow(maps)) break;
    long got = rf_syscall(SYS_read, fd, maps->text + maps->length, maps->capacity - maps->length - 1);
    if (got <= 0) break;
    maps->length += (size_t)got;
  }
  rf_syscall(SYS_close, fd);
  if (maps->text) maps->text[maps->length] = '\0';
}

static uintptr_t read_hex(const char **at) {
  uintptr_t value = 0;
  for (;; (*at)++) {
    char c = **at;
    if (c >= '0' && c <= '9')
      value = value << 4 | (uintptr_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
      value = value << 4 | (uintptr_t)(c - 'a' + 10);
    else
      return value;
  }
}

/* The kernel writes a newline in a path as \012, and appends " (deleted)" to the path of a file that is gone.
 */
static char *clean_path(const char *start, size_t length) {
  static const char deleted[] = " (deleted)";
  size_t tail = sizeof deleted - 1;
  if (length > tail && memcmp(start + length - tail, deleted, tail) == 0) length -= tail;
  char *path = rf_malloc(length + 1);
  if (!path) return NULL;
  size_t out = 0;
  for (size_t i = 0; i < length; i++) {
    bool newline = start[i] == '\\' && length - i >= 4 && memcmp(start + i, "\\012", 4) == 0;
    path[out++] = newline ? '\n' : start[i];
    if (newline) i += 3;
  }
  path[out] = '\0';
  return path;
}

/* The path of the file that is mapped at address, or NULL. A line: start-end perms offset dev inode    path
 */
static char *maps_path(const struct maps *maps, uintptr_t address) {
  for (const char *line = maps->text; line && *line;) {
    const char *end = strchr(line, '\n'), *at = line;
    if (!end) return NULL;
    uintptr_t from = read_hex(&at);
    uintptr_t to = *at == '-' ? (at++, read_hex(&at)) : 0;
    if (address >= from && address < to) {
      const char *path = memchr(at, '/', (size_t)(end - at));
      return path ? clean_path(path, (size_t)(end - path)) : NULL;
    }
    line = end + 1;
  }
  return NULL;
}

static char *resolve(const char *link) {
  char path[4096];
  long length = rf_syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path);
  return length > 0 ? clean_path(path, (size_t)length) : NULL;
}

/* Where the loader's name leads. A few microseconds, where reading the maps of a large program takes a
 * millisecond. */
static char *follow_name(const char *link_name) {
  char link[32] = "/proc/self/fd/";
  if (link_name[0] != '/') return NULL;
  int fd = (int)rf_syscall(SYS_openat, AT_FDCWD, link_name, O_PATH | O_CLOEXEC, 0);
  if (fd < 0) return NULL;
  snprintf(link + strlen(link), 12, "%d", fd);
  char *path = resolve(link);
  rf_syscall(SYS_close, fd);
  return path;
}

static bool is_vdso(const struct rf_module *module) {
  uintptr_t vdso = getauxval(AT_SYSINFO_EHDR);
  return vdso != 0 && vdso >= module->load_address && vdso - module->load_address < 65536 &&
         (uintptr_t)module->program_headers >= vdso && (uintptr_t)module->program_headers - vdso < 4096;
}

/* The program and what the loader names by a relative path, or a path that is gone, are looked up in the
 * maps. There the first bytes are asked before the text: whoever patches or remaps text may have replaced its
 * mapping. */
static char *find_path(const struct entry *entry, struct maps *maps) {
  if (is_vdso(&entry->module)) return rf_strdup("[vdso]");
  char *path = follow_name(entry->link_name);
  if (path) return path;
  if (!maps->text) maps_read(maps);
  path = maps_path(maps, (uintptr_t)entry->module.program_headers);
  if (!path) path = maps_path(maps, entry->module.text_start);
  if (!path && entry->link_name[0] == '\0') path = resolve("/proc/self/exe");
  return path ? path : rf_strdup(entry->link_name);
}

/* ---- Paths that are known already ---- */

static struct rf_lock
    known_lock; /* only ever tried: a forked child may find it held by a thread that it lacks */
static struct list known;

static bool same_module(const struct entry *a, const struct entry *b) {
  return a->module.load_address == b->module.load_address &&
         a->module.program_headers == b->module.program_headers &&
         a->module.build_id_bytes == b->module.build_id_bytes &&
         memcmp(a->module.build_id, b->module.build_id, sizeof a->module.build_id) == 0 &&
         strcmp(a->link_name, b->link_name) == 0;
}

static char *known_path(const struct entry *entry, size_t near) {
  for (size_t i = 0; i < known.count; i++) {
    const struct entry *candidate = &known.entries[(near + i) % known.count];
    if (same_module(candidate, entry)) return candidate->path ? rf_strdup(candidate->path) : NULL;
  }
  return NULL;
}

static void list_free(struct list *list) {
  for (size_t i = 0; i < list->count; i++) {
    rf_free(list->entries[i].link_name);
    rf_free(list->entries[i].path);
  }
  rf_free(list->entries);
  *list = (struct list){0};
}

static struct list list_copy(const struct list *list) {
  struct list copy = {.entries = rf_malloc(list->count * sizeof *copy.entries)};
  if (!copy.entries) return copy;
  copy.capacity = list->count;
  for (size_t i = 0; i < list->count; i++) {
    struct entry entry = list->entries[i];
    entry.link_name = rf_strdup(entry.link_name);
    entry.path = entry.path ? rf_strdup(entry.path) : NULL;
    if (!entry.link_name) break;
    copy.entries[copy.count++] = entry;
  }
  return copy;
}

static void set_path(struct entry *entry, char *path) {
  entry->path = path;
  entry->module.path = path ? path : "";
  const char *slash = strrchr(entry->module.path, '/');
  entry->module.name = slash ? slash + 1 : entry->module.path;
  const char *called =
      entry->link_name[0] == '\0' && entry->module.path[0] == '/' ? rf_loader_program_name() : NULL;
  if (called) entry->module.name = called;
}

static void find_paths(struct list *list) {
  bool remember = rf_lock_try(&known_lock), changed = list->count != known.count;
  struct maps maps = {0};
  for (size_t i = 0; i < list->count; i++) {
    char *path = remember ? known_path(&list->entries[i], i) : NULL;
    if (!path) {
      changed = true;
      path = find_path(&list->entries[i], &maps);
    }
    set_path(&list->entries[i], path);
  }
  rf_free(maps.text);
  if (!remember) return;
  if (changed) {
    list_free(&known);
    known = list_copy(list);
  }
  rf_lock_give(&known_lock);
}

void rf_modules_visit(bool (*visit)(void *user, const struct rf_module *module), void *user) {
  struct list list = {0};
  dl_iterate_phdr(collect, &list);
  dl_iterate_phdr(collect_others, &list);
  find_paths(&list);
  for (size_t i = 0; i < list.count; i++)
    if (!is_ours(&list.entries[i]) && !visit(user, &list.entries[i].module)) break;
  list_free(&list);
}
