/* See silent.h. */
#include "heap/silent.h"

#include "base/thread.h"
#include "heap/allocator.h"

static struct rf_allocator behind;

#define SILENTLY(type, call)                                                                                 \
  rf_tls.allocating++;                                                                                       \
  type result = (call);                                                                                      \
  rf_tls.allocating--;                                                                                       \
  return result

static void *silent_malloc(size_t bytes) { SILENTLY(void *, behind.malloc(bytes)); }
static void *silent_calloc(size_t count, size_t bytes) { SILENTLY(void *, behind.calloc(count, bytes)); }
static void *silent_realloc(void *block, size_t bytes) { SILENTLY(void *, behind.realloc(block, bytes)); }
static void *silent_memalign(size_t alignment, size_t bytes) {
  SILENTLY(void *, behind.memalign(alignment, bytes));
}
static void *silent_aligned_alloc(size_t alignment, size_t bytes) {
  SILENTLY(void *, behind.aligned_alloc(alignment, bytes));
}
static int silent_posix_memalign(void **block, size_t alignment, size_t bytes) {
  SILENTLY(int, behind.posix_memalign(block, alignment, bytes));
}
static void *silent_valloc(size_t bytes) { SILENTLY(void *, behind.valloc(bytes)); }
static void *silent_pvalloc(size_t bytes) { SILENTLY(void *, behind.pvalloc(bytes)); }
static size_t silent_usable_size(void *block) { SILENTLY(size_t, behind.usable_size(block)); }
static void silent_free(void *block) {
  rf_tls.allocating++;
  behind.free(block);
  rf_tls.allocating--;
}

void rf_silent_begin(void) {
  behind = rf_app;
  rf_app = (struct rf_allocator){.malloc = silent_malloc,
                                 .calloc = silent_calloc,
                                 .realloc = silent_realloc,
                                 .free = silent_free,
                                 .memalign = silent_memalign,
                                 .aligned_alloc = silent_aligned_alloc,
                                 .posix_memalign = silent_posix_memalign,
                                 .valloc = silent_valloc,
                                 .pvalloc = silent_pvalloc,
                                 .usable_size = silent_usable_size};
}

void rf_silent_sizes(size_t (*usable_size)(void *block)) {
  behind.usable_size = usable_size;
  rf_app.usable_size = silent_usable_size;
  rf_app.glibc = false;
}
