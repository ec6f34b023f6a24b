/* See leaks.h. */
#include "heap/leaks.h"

#include <errno.h>
#include <time.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/lock.h"
#include "heap/allocator.h"
#include "heap/foreign.h"
#include "heap/halt.h"
#include "heap/jemalloc.h"
#include "heap/mark.h"
#include "heap/roots.h"
#include "heap/sites.h"
#include "heap/track.h"
#include "recording/threads.h"

#define HALT_NS 500000000ll
#define MARK_NS 10000000000ll
#define TRIES 100 /* to meet no thread with a block between two places */
#define APART_NS 2000000

/* ---- halting ---- */

/* A block that realloc is moving is in no table, so what only it leads to would seem lost. With glibc, the
 * roots say where it is; else nobody may be in realloc. */
static bool block_is_moving(void) {
  if (rf_app.glibc) return false;
  for (const struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next)
    if (thread->heap_moving && thread != rf_tls.self) return true;
  return false;
}

static void nap(int64_t ns) {
  struct timespec time = {0, ns};
  rf_syscall(SYS_nanosleep, &time, 0);
}

static bool halt_all(struct rf_halt *halt, uint32_t left_out) {
  for (int i = 0; rf_halt_begin(halt, left_out, HALT_NS); i++) {
    if (!halt->all || !block_is_moving()) return true;
    if (i == TRIES) {
      halt->all = false;
      halt->reason = "one was always in realloc";
      return true;
    }
    rf_halt_end(halt);
    nap(i < 20 ? (i + 1) * 50000 : 1000000);
  }
  rf_halt_end(halt);
  return false;
}

/* ---- telling ---- */

static void forget_lost(const struct rf_mark *mark) {
  for (size_t i = 0; i < mark->blocks; i++) {
    struct rf_site_entry *site = rf_sites_entry(mark->block[i].site);
    site->lost_blocks = site->lost_bytes = 0;
    site->flags |= RF_SITE_CHECKED;
  }
}

static void tell_sites(const struct rf_mark *mark, struct rf_leaks *leaks) {
  forget_lost(mark);
  leaks->blocks = mark->blocks;
  for (size_t i = 0; i < mark->blocks; i++) {
    const struct rf_mark_block *block = &mark->block[i];
    if (block->marked || block->ever) continue;
    struct rf_site_entry *site = rf_sites_entry(block->site);
    uint64_t calls, bytes;
    rf_track_stands_for((size_t)block->words * sizeof(uintptr_t), &calls, &bytes);
    site->lost_blocks += calls;
    site->lost_bytes += bytes;
    leaks->lost_blocks += calls;
    leaks->lost_bytes += bytes;
  }
  if (rf_track_mode == RF_TRACK_SAMPLED) leaks->lost_blocks /= RF_SITE_CALL_SCALE;
}

/* ---- the whole ---- */

static int mark_all(struct rf_mark *mark, struct rf_roots *roots) {
  bool still = roots->halt->all;
  if (!rf_mark_begin(mark, still, rf_monotonic_ns() + MARK_NS)) return -ENOMEM;
  if (!rf_roots_find(roots, mark)) return -EIO;
  for (int pass = 0; pass < (still ? 1 : 2); pass++) {
    if (pass) {
      rf_mark_again(mark);
      nap(APART_NS);
    }
    rf_roots_mark(roots, mark);
    rf_mark_follow(mark);
  }
  return mark->late ? -ETIME : 0;
}

static void describe(struct rf_leaks *leaks, const struct rf_halt *halt, const struct rf_mark *mark) {
  leaks->bytes = mark->bytes;
  leaks->threads = (uint32_t)halt->threads;
  leaks->halted = halt->all;
  leaks->reason = halt->reason;
}

/* With the caller's registers on the stack. */
static __attribute__((noinline)) int check(uint32_t left_out, struct rf_leaks *leaks) {
  struct rf_mark mark = {0};
  struct rf_halt halt;
  struct rf_roots roots = {
      .heap_known = rf_track_knows_all(), .here = (uintptr_t)__builtin_frame_address(0), .halt = &halt};
  int64_t start_ns = rf_monotonic_ns();
  *leaks = (struct rf_leaks){0};
  if (!halt_all(&halt, left_out)) return -ENOMEM;
  int failed = mark_all(&mark, &roots);
  describe(leaks, &halt, &mark);
  rf_halt_end(&halt);
  leaks->duration_ns = rf_monotonic_ns() - start_ns;
  if (!failed) tell_sites(&mark, leaks);
  rf_roots_end(&roots);
  rf_mark_end(&mark);
  return failed;
}

int rf_leaks_check(uint32_t left_out, struct rf_leaks *leaks) {
  static struct rf_lock lock;
  __builtin_unwind_init();
  if (rf_foreign_beside()) return -ENOTSUP;
  /* Its tables of free regions lead to blocks that were there before, and only knowing all blocks tells those
   * tables from the app's memory. */
  if (rf_jemalloc_serves() && !rf_track_knows_all()) return -ENODATA;
  rf_lock_take(&lock);
  int failed = check(left_out, leaks);
  rf_lock_give(&lock);
  return failed;
}
