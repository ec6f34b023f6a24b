/* See allocator.h. */
#include "heap/allocator.h"

#include <dlfcn.h>
#include <elf.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "heap/foreign.h"
#include "heap/jemalloc.h"

/* Until the real ones are known, each call finds them first; what dlsym itself allocates comes from Refunc's
 * heap. */
static void *first_malloc(size_t bytes) {
  rf_allocator_find();
  return rf_app.malloc(bytes);
}
static void *first_calloc(size_t count, size_t bytes) {
  rf_allocator_find();
  return rf_app.calloc(count, bytes);
}
static void *first_realloc(void *block, size_t bytes) {
  rf_allocator_find();
  return rf_app.realloc(block, bytes);
}
static void first_free(void *block) {
  rf_allocator_find();
  rf_app.free(block);
}
static void *first_memalign(size_t alignment, size_t bytes) {
  rf_allocator_find();
  return rf_app.memalign(alignment, bytes);
}
static void *first_aligned_alloc(size_t alignment, size_t bytes) {
  rf_allocator_find();
  return rf_app.aligned_alloc(alignment, bytes);
}
static int first_posix_memalign(void **block, size_t alignment, size_t bytes) {
  rf_allocator_find();
  return rf_app.posix_memalign(block, alignment, bytes);
}
static void *first_valloc(size_t bytes) {
  rf_allocator_find();
  return rf_app.valloc(bytes);
}
static void *first_pvalloc(size_t bytes) {
  rf_allocator_find();
  return rf_app.pvalloc(bytes);
}
static size_t first_usable_size(void *block) {
  rf_allocator_find();
  return rf_app.usable_size(block);
}

struct rf_allocator rf_app = {
    first_malloc,         first_calloc, first_realloc, first_free,        first_memalign, first_aligned_alloc,
    first_posix_memalign, first_valloc, first_pvalloc, first_usable_size, false};

extern void *__libc_malloc(size_t bytes);

static void take(void **member, const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (found) *member = found;
}

void rf_allocator_find(void) {
  rf_internal_enter();
  struct rf_allocator found = rf_app;
  take((void **)&found.malloc, "malloc");
  take((void **)&found.calloc, "calloc");
  take((void **)&found.realloc, "realloc");
  take((void **)&found.free, "free");
  take((void **)&found.memalign, "memalign");
  take((void **)&found.aligned_alloc, "aligned_alloc");
  take((void **)&found.posix_memalign, "posix_memalign");
  take((void **)&found.valloc, "valloc");
  take((void **)&found.pvalloc, "pvalloc");
  take((void **)&found.usable_size, "malloc_usable_size");
  if (rf_jemalloc_loaded() && found.malloc == __libc_malloc) rf_jemalloc_serve(&found);
  rf_app = found;
  rf_internal_leave();
}

static bool header_tells(size_t bytes) {
  void *block = rf_app.malloc(bytes);
  if (!block) return false;
  rf_app.glibc = true;
  bool same = rf_app_usable_size(block) == rf_app.usable_size(block);
  rf_app.glibc = false;
  rf_app.free(block);
  return same;
}

void rf_allocator_learn(void) {
  if (rf_app.malloc == first_malloc) rf_allocator_find();
  if (rf_app.malloc != __libc_malloc) return;
  bool tells = header_tells(1) && header_tells(100) && header_tells(5000) && header_tells((size_t)1 << 20);
  rf_app.glibc = tells;
}

bool rf_allocator_is_glibc(void) {
  if (rf_app.malloc == first_malloc) rf_allocator_find();
  return rf_app.malloc == __libc_malloc || rf_jemalloc_serves();
}

static void file_name(char *text, size_t size) {
  Dl_info info = {0};
  const char *file = dladdr(rf_allocator_seen(), &info) && info.dli_fname ? info.dli_fname : "unknown";
  if (rf_allocator_is_ours())
    file = dladdr((void *)rf_app.malloc, &info) && info.dli_fname ? info.dli_fname : file;
  const char *slash = strrchr(file, '/');
  snprintf(text, size, "%s", slash ? slash + 1 : file);
}

void rf_allocator_name(char *text, size_t size) {
  char version[32];
  if (rf_foreign_name()[0])
    snprintf(text, size, "%s", rf_foreign_name());
  else if (rf_jemalloc_version(version, sizeof version))
    snprintf(text, size, "jemalloc %s", version);
  else if (rf_allocator_is_glibc() && rf_allocator_is_ours())
    snprintf(text, size, "glibc %s", gnu_get_libc_version());
  else
    file_name(text, size);
  size_t length = strlen(text);
  if (rf_foreign_beside_name()[0]) snprintf(text + length, size - length, ", %s", rf_foreign_beside_name());
}

/* Where an executable that is not position-independent takes malloc's address, that is a jump of its own to
 * whatever comes next: ours. */
static bool is_only_a_jump(void *seen) {
  Dl_info info;
  const Elf64_Sym *symbol = NULL;
  return dladdr1(seen, &info, (void **)&symbol, RTLD_DL_SYMENT) && symbol && symbol->st_shndx == SHN_UNDEF;
}

/* RTLD_DEFAULT would find ours first, whoever the app calls: this library is bound to itself. */
const void *rf_allocator_seen(void) {
  rf_internal_enter();
  void *program = dlopen(NULL, RTLD_LAZY);
  void *seen = program ? dlsym(program, "malloc") : NULL;
  if (program) dlclose(program);
  if (seen && seen != (void *)malloc && is_only_a_jump(seen)) seen = (void *)malloc;
  rf_internal_leave();
  return seen;
}

bool rf_allocator_is_ours(void) { return rf_allocator_seen() == (void *)malloc; }
