/* See jemalloc.h. glibc's manners where jemalloc has others: realloc(p, 0) frees, alignments that are no
 * power of two are rounded up, errno is kept by what succeeds. */
#include "heap/jemalloc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread.h"
#include "heap/allocator.h"

#define LEAST_ALIGNMENT 16
#define PAGE ((size_t)4096)

extern const struct rf_jemalloc_api rf_jemalloc __attribute__((weak, visibility("default")));

static struct rf_allocator glibc; /* for blocks that are not jemalloc's */
static bool serves;

/* The thread is marked while it is inside, for rf_jemalloc_ask; errno stays as it was where nothing failed.
 */
static int enter(void) {
  rf_tls.allocating++;
  return errno;
}

static void *leave(void *block, int error) {
  rf_tls.allocating--;
  errno = block ? error : ENOMEM;
  return block;
}

static void *serve_malloc(size_t bytes) {
  int error = enter();
  return leave(rf_jemalloc.malloc(bytes), error);
}

static void *serve_calloc(size_t count, size_t bytes) {
  int error = enter();
  return leave(rf_jemalloc.calloc(count, bytes), error);
}

static void serve_free(void *block) {
  if (!rf_jemalloc_holds(block)) {
    glibc.free(block);
    return;
  }
  int error = enter();
  rf_jemalloc.free(block);
  leave(block, error);
}

static size_t serve_usable_size(void *block) {
  return rf_jemalloc_holds(block) ? rf_jemalloc.usable_size(block) : glibc.usable_size(block);
}

/* A block of glibc's that grows or shrinks becomes one of jemalloc's. */
static void *move_here(void *block, size_t bytes) {
  size_t before = glibc.usable_size(block);
  void *moved = serve_malloc(bytes);
  if (!moved) return NULL;
  memcpy(moved, block, before < bytes ? before : bytes);
  glibc.free(block);
  return moved;
}

static void *serve_realloc(void *block, size_t bytes) {
  if (!block) return serve_malloc(bytes);
  if (!bytes) {
    serve_free(block);
    return NULL;
  }
  if (!rf_jemalloc_holds(block)) return move_here(block, bytes);
  int error = enter();
  return leave(rf_jemalloc.realloc(block, bytes), error);
}

static void *serve_memalign(size_t alignment, size_t bytes) {
  if (alignment > SIZE_MAX / 2 + 1) {
    errno = EINVAL;
    return NULL;
  }
  size_t power = LEAST_ALIGNMENT;
  while (power < alignment) power *= 2;
  int error = enter();
  return leave(rf_jemalloc.memalign(power, bytes), error);
}

static int serve_posix_memalign(void **block, size_t alignment, size_t bytes) {
  int error = enter();
  int failed = rf_jemalloc.posix_memalign(block, alignment, bytes);
  leave(block, error);
  return failed;
}

static void *serve_valloc(size_t bytes) { return serve_memalign(PAGE, bytes); }

static void *serve_pvalloc(size_t bytes) {
  if (bytes > SIZE_MAX - PAGE) {
    errno = ENOMEM;
    return NULL;
  }
  size_t whole = (bytes + PAGE - 1) & ~(PAGE - 1);
  return serve_memalign(PAGE, whole ? whole : PAGE);
}

bool rf_jemalloc_loaded(void) { return &rf_jemalloc != NULL && rf_jemalloc.bytes == sizeof rf_jemalloc; }

bool rf_jemalloc_serves(void) { return serves; }

void rf_jemalloc_serve(struct rf_allocator *next) {
  glibc = *next;
  *next = (struct rf_allocator){.malloc = serve_malloc,
                                .calloc = serve_calloc,
                                .realloc = serve_realloc,
                                .free = serve_free,
                                .memalign = serve_memalign,
                                .aligned_alloc = serve_memalign,
                                .posix_memalign = serve_posix_memalign,
                                .valloc = serve_valloc,
                                .pvalloc = serve_pvalloc,
                                .usable_size = serve_usable_size};
  serves = true;
}

/* ---- what it says of itself ---- */

const char *const rf_jemalloc_figure_names[RF_JEMALLOC_FIGURES] = {
    "allocated_bytes", "active_bytes", "metadata_bytes", "resident_bytes", "mapped_bytes", "retained_bytes"};
static const char *const questions[RF_JEMALLOC_FIGURES] = {
    "stats.allocated", "stats.active", "stats.metadata", "stats.resident", "stats.mapped", "stats.retained"};

bool rf_jemalloc_version(char *text, size_t size) {
  const char *version = NULL;
  size_t bytes = sizeof version;
  if (!serves || rf_jemalloc.control("version", &version, &bytes, NULL, 0) != 0 || !version) return false;
  size_t length = strcspn(version, "-");
  if (length >= size) return false;
  memcpy(text, version, length);
  text[length] = '\0';
  return true;
}

/* The epoch makes it sum up what its arenas count. */
static bool ask(struct rf_jemalloc_figures *figures) {
  uint64_t epoch = 1;
  size_t bytes = sizeof epoch;
  bool good = rf_jemalloc.control("epoch", &epoch, &bytes, &epoch, sizeof epoch) == 0;
  for (int i = 0; i < RF_JEMALLOC_FIGURES && good; i++) {
    bytes = sizeof figures->value[i];
    good = rf_jemalloc.control(questions[i], &figures->value[i], &bytes, NULL, 0) == 0;
  }
  return good;
}

bool rf_jemalloc_ask(struct rf_jemalloc_figures *figures) {
  if (!serves || rf_tls.allocating) return false;
  int error = errno;
  rf_tls.allocating++;
  bool good = ask(figures);
  rf_tls.allocating--;
  errno = error;
  return good;
}

static struct {
  uint32_t busy;  /* somebody asks */
  int64_t at;     /* the peak that the figures are of; 0: none */
  int64_t missed; /* a peak that was reached while somebody asked */
  struct rf_jemalloc_figures figures;
} peak;

static bool much_higher(int64_t bytes) { return bytes > peak.at + peak.at / 8; }

/* Nobody waits for a thread that asks: it asks once more, for whoever came meanwhile. */
void rf_jemalloc_at_peak(int64_t bytes) {
  if (!serves) return;
  while (much_higher(bytes)) {
    if (__atomic_exchange_n(&peak.busy, 1, __ATOMIC_ACQUIRE)) {
      __atomic_store_n(&peak.missed, bytes, __ATOMIC_RELAXED);
      return;
    }
    bool good = rf_jemalloc_ask(&peak.figures);
    if (good) peak.at = bytes;
    __atomic_store_n(&peak.busy, 0, __ATOMIC_SEQ_CST);
    bytes = good ? __atomic_load_n(&peak.missed, __ATOMIC_RELAXED) : 0;
  }
}

bool rf_jemalloc_peak_figures(struct rf_jemalloc_figures *figures) {
  *figures = peak.figures;
  return peak.at > 0;
}

void rf_jemalloc_begin_again(void) {
  peak.busy = 0;
  peak.at = peak.missed = 0;
}
