/*
 * The functions by which allocators are known, and what each does. A name is a prefix (none, je_, tc_, mi_,
 * ...) and one of the names below. What has a shape of its own beside malloc's is in no list: mi_heap_destroy
 * and its like free blocks that nobody sees.
 */
#include "heap/foreign_names.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Under every prefix, and under none where malloc itself has none. */
static const struct rf_known_function common[] = {
    {"malloc", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"calloc", RF_HOOK_ALLOC, RF_SIZE_0_TIMES_1, 0, true},
    {"realloc", RF_HOOK_REALLOC, RF_SIZE_1, 0, true},
    {"reallocarray", RF_HOOK_REALLOC, RF_SIZE_1_TIMES_2, 0, false},
    {"free", RF_HOOK_FREE, 0, 0, true},
    {"cfree", RF_HOOK_FREE, 0, 0, false},
    {"free_sized", RF_HOOK_FREE, 0, 0, false},
    {"free_aligned_sized", RF_HOOK_FREE, 0, 0, false},
    {"memalign", RF_HOOK_ALLOC, RF_SIZE_1, 0, false},
    {"aligned_alloc", RF_HOOK_ALLOC, RF_SIZE_1, 0, false},
    {"posix_memalign", RF_HOOK_PLACED, RF_SIZE_2, 0, false},
    {"valloc", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"pvalloc", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"mallocx", RF_HOOK_ALLOC, RF_SIZE_0, 0, false}, /* jemalloc's own interface */
    {"rallocx", RF_HOOK_REALLOC, RF_SIZE_1, 0, false},
    {"xallocx", RF_HOOK_RESIZE, RF_SIZE_1, 0, false},
    {"dallocx", RF_HOOK_FREE, 0, 0, false},
    {"sdallocx", RF_HOOK_FREE, 0, 0, false},
};

/* Under tc_ and mi_, where no other function could have such a name. */
static const struct rf_known_function prefixed[] = {
    {"new", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"newarray", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"new_nothrow", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"newarray_nothrow", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"new_aligned", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"newarray_aligned", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"new_aligned_nothrow", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"newarray_aligned_nothrow", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"delete", RF_HOOK_FREE, 0, 0, true},
    {"deletearray", RF_HOOK_FREE, 0, 0, true},
    {"delete_sized", RF_HOOK_FREE, 0, 0, false},
    {"deletearray_sized", RF_HOOK_FREE, 0, 0, false},
    {"delete_nothrow", RF_HOOK_FREE, 0, 0, false},
    {"deletearray_nothrow", RF_HOOK_FREE, 0, 0, false},
    {"delete_aligned", RF_HOOK_FREE, 0, 0, false},
    {"deletearray_aligned", RF_HOOK_FREE, 0, 0, false},
    {"delete_sized_aligned", RF_HOOK_FREE, 0, 0, false},
    {"deletearray_sized_aligned", RF_HOOK_FREE, 0, 0, false},
    {"delete_aligned_nothrow", RF_HOOK_FREE, 0, 0, false},
    {"deletearray_aligned_nothrow", RF_HOOK_FREE, 0, 0, false},
    {"malloc_skip_new_handler", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"malloc_small", RF_HOOK_ALLOC, RF_SIZE_0, 0, false}, /* from here on mimalloc's */
    {"zalloc_small", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"zalloc", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"mallocn", RF_HOOK_ALLOC, RF_SIZE_0_TIMES_1, 0, false},
    {"new_n", RF_HOOK_ALLOC, RF_SIZE_0_TIMES_1, 0, false},
    {"malloc_aligned", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"malloc_aligned_at", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"zalloc_aligned", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"zalloc_aligned_at", RF_HOOK_ALLOC, RF_SIZE_0, 0, false},
    {"calloc_aligned", RF_HOOK_ALLOC, RF_SIZE_0_TIMES_1, 0, false},
    {"calloc_aligned_at", RF_HOOK_ALLOC, RF_SIZE_0_TIMES_1, 0, false},
    {"strdup", RF_HOOK_ALLOC, RF_SIZE_UNKNOWN, 0, false},
    {"strndup", RF_HOOK_ALLOC, RF_SIZE_UNKNOWN, 0, false},
    {"reallocn", RF_HOOK_REALLOC, RF_SIZE_1_TIMES_2, 0, false},
    {"reallocf", RF_HOOK_REALLOC, RF_SIZE_1, 0, false},
    {"rezalloc", RF_HOOK_REALLOC, RF_SIZE_1, 0, false},
    {"recalloc", RF_HOOK_REALLOC, RF_SIZE_1_TIMES_2, 0, false},
    {"realloc_aligned", RF_HOOK_REALLOC, RF_SIZE_1, 0, false},
    {"realloc_aligned_at", RF_HOOK_REALLOC, RF_SIZE_1, 0, false},
    {"new_realloc", RF_HOOK_REALLOC, RF_SIZE_1, 0, false},
    {"new_reallocn", RF_HOOK_REALLOC, RF_SIZE_1_TIMES_2, 0, false},
    {"free_size", RF_HOOK_FREE, 0, 0, false},
    {"free_size_aligned", RF_HOOK_FREE, 0, 0, false},
    {"free_aligned", RF_HOOK_FREE, 0, 0, false},
    {"heap_malloc", RF_HOOK_ALLOC, RF_SIZE_1, 0, false},
    {"heap_malloc_small", RF_HOOK_ALLOC, RF_SIZE_1, 0, false},
    {"heap_zalloc", RF_HOOK_ALLOC, RF_SIZE_1, 0, false},
    {"heap_calloc", RF_HOOK_ALLOC, RF_SIZE_1_TIMES_2, 0, false},
    {"heap_mallocn", RF_HOOK_ALLOC, RF_SIZE_1_TIMES_2, 0, false},
    {"heap_malloc_aligned", RF_HOOK_ALLOC, RF_SIZE_1, 0, false},
    {"heap_zalloc_aligned", RF_HOOK_ALLOC, RF_SIZE_1, 0, false},
    {"heap_calloc_aligned", RF_HOOK_ALLOC, RF_SIZE_1_TIMES_2, 0, false},
    {"heap_realloc", RF_HOOK_REALLOC, RF_SIZE_2, 1, false},
    {"heap_reallocn", RF_HOOK_REALLOC, RF_SIZE_2_TIMES_3, 1, false},
    {"heap_reallocf", RF_HOOK_REALLOC, RF_SIZE_2, 1, false},
    {"heap_rezalloc", RF_HOOK_REALLOC, RF_SIZE_2, 1, false},
    {"heap_recalloc", RF_HOOK_REALLOC, RF_SIZE_2_TIMES_3, 1, false},
};

/* C++'s, as its names are mangled; sized and plain, with and without an alignment and nothrow. */
static const struct rf_known_function mangled[] = {
    {"_Znwm", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"_Znam", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"_ZnwmRKSt9nothrow_t", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"_ZnamRKSt9nothrow_t", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"_ZnwmSt11align_val_t", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"_ZnamSt11align_val_t", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"_ZnwmSt11align_val_tRKSt9nothrow_t", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"_ZnamSt11align_val_tRKSt9nothrow_t", RF_HOOK_ALLOC, RF_SIZE_0, 0, true},
    {"_ZdlPv", RF_HOOK_FREE, 0, 0, true},
    {"_ZdaPv", RF_HOOK_FREE, 0, 0, true},
    {"_ZdlPvm", RF_HOOK_FREE, 0, 0, true},
    {"_ZdaPvm", RF_HOOK_FREE, 0, 0, true},
    {"_ZdlPvRKSt9nothrow_t", RF_HOOK_FREE, 0, 0, true},
    {"_ZdaPvRKSt9nothrow_t", RF_HOOK_FREE, 0, 0, true},
    {"_ZdlPvSt11align_val_t", RF_HOOK_FREE, 0, 0, true},
    {"_ZdaPvSt11align_val_t", RF_HOOK_FREE, 0, 0, true},
    {"_ZdlPvmSt11align_val_t", RF_HOOK_FREE, 0, 0, true},
    {"_ZdaPvmSt11align_val_t", RF_HOOK_FREE, 0, 0, true},
    {"_ZdlPvSt11align_val_tRKSt9nothrow_t", RF_HOOK_FREE, 0, 0, true},
    {"_ZdaPvSt11align_val_tRKSt9nothrow_t", RF_HOOK_FREE, 0, 0, true},
};

static const struct rf_known_function back[] = {
    {"free", RF_HOOK_BACK, RF_BACK_FREE, 0, true},
    {"realloc", RF_HOOK_BACK, RF_BACK_REALLOC, 0, true},
    {"malloc_usable_size", RF_HOOK_BACK, RF_BACK_USABLE_SIZE, 0, true},
};

static const char *const usable_names[] = {"malloc_usable_size", "malloc_size", "usable_size"};

static const struct {
  const char *prefix, *allocator;
} prefixes[RF_PREFIXES] = {
    {"", "its own"}, {"je_", "jemalloc"}, {"_rjem_", "jemalloc"}, {"tc_", "tcmalloc"}, {"mi_", "mimalloc"}};

static const struct rf_known_function *find(const struct rf_known_function *list, size_t count,
                                            const char *name) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(list[i].name, name)) return &list[i];
  return NULL;
}

static uint8_t prefix_of(const char *name) {
  for (uint8_t i = 1; i < RF_PREFIXES; i++)
    if (!strncmp(name, prefixes[i].prefix, strlen(prefixes[i].prefix))) return i;
  return 0;
}

struct rf_foreign_name rf_foreign_look_up(const char *name) {
  struct rf_foreign_name found = {.prefix = prefix_of(name)};
  const char *rest = name + strlen(prefixes[found.prefix].prefix);
  found.known = find(common, COUNT(common), rest);
  if (!found.known && found.prefix) found.known = find(prefixed, COUNT(prefixed), rest);
  if (!found.known && !found.prefix && name[0] == '_') found.known = find(mangled, COUNT(mangled), name);
  for (size_t i = 0; i < COUNT(usable_names); i++) found.usable |= !strcmp(rest, usable_names[i]);
  return found;
}

const char *rf_foreign_allocator(unsigned prefix) { return prefixes[prefix].allocator; }

const struct rf_known_function *rf_foreign_back(const char *name) { return find(back, COUNT(back), name); }

/* Debian's and upstream's names of the shared libraries. */
const char *rf_foreign_library(const char *file) {
  static const char *const names[] = {"jemalloc", "tcmalloc", "mimalloc"};
  for (size_t i = 0; i < COUNT(names); i++)
    if (!strncmp(file, "lib", 3) && !strncmp(file + 3, names[i], strlen(names[i]))) return names[i];
  return NULL;
}
