/*
 * Memory now: resident from the kernel, the heap from the threads' sums. And the alert: the sampler counts
 * crossings on a thread that can run no code of the app's, so one more thread waits for them and runs the
 * callback.
 */
#include "api/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include "api/api.h"
#include "api/facts.h"
#include "api/guard.h"
#include "arch/arch.h"
#include "base/quiet.h"
#include "base/thread.h"
#include "heap/roots.h"
#include "recording/threads.h"
#include "recording/walk.h"
#include "sample/sampler.h"

#define PAGE_BYTES 4096u
#define LOOK_NS 1000000000ll

/* ---- now ---- */

/* The second number of /proc/self/statm. */
uint64_t rf_memory_resident(void) {
  char text[128];
  if (rf_quiet()) return REFUNC_UNKNOWN;
  long fd = rf_syscall(SYS_openat, AT_FDCWD, "/proc/self/statm", O_RDONLY | O_CLOEXEC);
  long length = fd < 0 ? fd : rf_syscall(SYS_read, fd, text, sizeof text - 1);
  if (fd >= 0) rf_syscall(SYS_close, fd);
  if (length <= 0) return REFUNC_UNKNOWN;
  text[length] = 0;
  const char *at = strchr(text, ' ');
  uint64_t pages = 0;
  for (at = at ? at + 1 : ""; *at >= '0' && *at <= '9'; at++) pages = pages * 10 + (uint64_t)(*at - '0');
  return pages * PAGE_BYTES;
}

static uint64_t peak_resident(void) {
  struct rusage usage;
  if (rf_quiet() || rf_syscall(SYS_getrusage, RUSAGE_SELF, &usage) != 0) return REFUNC_UNKNOWN;
  return (uint64_t)usage.ru_maxrss * 1024;
}

static uint64_t above(uint64_t more, uint64_t less) { return more > less ? more - less : 0; }

/* Highest folded value, or what the threads may have had on top of the last one: as reports do it. */
static uint64_t heap_peak(const struct rf_header *header, int64_t on_top, uint64_t live) {
  int64_t peak = (int64_t)header->heap_peak_bytes, now = (int64_t)header->heap_folded_bytes + on_top;
  if (now > peak) peak = now;
  return peak > (int64_t)live ? (uint64_t)peak : live;
}

static void read_heap(struct refunc_memory *memory) {
  const struct rf_header *header = rf_recording_header();
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_THREAD));
  const struct rf_thread_entry *thread;
  uint64_t frees = 0;
  int64_t on_top = 0;
  while ((thread = rf_walk_next(&walk))) {
    memory->heap_alloc_calls += thread->heap.alloc_calls;
    memory->heap_requested_bytes += thread->heap.requested_bytes;
    memory->heap_alloc_bytes += thread->heap.alloc_bytes;
    memory->heap_free_bytes += thread->heap.free_bytes;
    frees += thread->heap.free_calls;
    if (thread->heap_high > thread->heap_folded) on_top += thread->heap_high - thread->heap_folded;
  }
  memory->heap_live_bytes =
      above(header->inherited_live_bytes + memory->heap_alloc_bytes, memory->heap_free_bytes);
  memory->heap_live_blocks = above(header->inherited_live_blocks + memory->heap_alloc_calls, frees);
  memory->heap_peak_bytes = heap_peak(header, on_top, memory->heap_live_bytes);
}

int rf_api_get_memory(struct refunc_memory *memory) {
  if (!rf_thread_get()) return -ENOSYS;
  struct refunc_memory all = {.rss_bytes = rf_memory_resident(), .peak_rss_bytes = peak_resident()};
  if (all.rss_bytes != REFUNC_UNKNOWN && all.peak_rss_bytes != REFUNC_UNKNOWN &&
      all.peak_rss_bytes < all.rss_bytes)
    all.peak_rss_bytes = all.rss_bytes;
  if (strcmp(rf_api_option("heap.mode"), "off") != 0)
    read_heap(&all);
  else
    memset(&all.heap_live_bytes, 0xff, sizeof all - offsetof(struct refunc_memory, heap_live_bytes));
  rf_api_fill(memory, &all, sizeof all);
  return 0;
}

/* ---- the alert ---- */

static struct {
  struct rf_guard guard;
  refunc_alert *callback; /* NULL: none; the thread then only waits */
  void *user;
  uint32_t pid; /* of the process that has the thread */
} alert;

static void run_callback(void) {
  uint64_t mask = rf_guard_take(&alert.guard);
  refunc_alert *callback = alert.callback;
  void *user = alert.user;
  rf_guard_give(&alert.guard, mask);
  struct refunc_memory memory = {.size = sizeof memory};
  if (callback && rf_api_get_memory(&memory) == 0) callback(&memory, user);
}

static void *wait_for_alerts(void *before) {
  uint32_t seen = (uint32_t)(uintptr_t)before;
  for (;;) {
    uint32_t now = rf_sampler_await_alert(seen, LOOK_NS);
    if (rf_quiet()) return NULL;
    if (now != seen) run_callback();
    seen = now;
  }
}

/* Under the guard: with signals blocked, which the new thread inherits. They stay with the app's threads. */
static int start_thread(void) {
  pthread_t thread;
  uint32_t pid = rf_recording_header()->pid;
  if (alert.pid == pid) return 0;
  rf_internal_enter();
  int failed = pthread_create(&thread, NULL, wait_for_alerts, (void *)(uintptr_t)rf_sampler_alerts());
  if (!failed) pthread_detach(thread);
  rf_internal_leave();
  if (!failed) alert.pid = pid;
  if (!failed) rf_roots_keep(&alert.user);
  return -failed;
}

static bool sampler_looks(void) {
  return strcmp(rf_api_option("system.enabled"), "off") != 0 &&
         strcmp(rf_api_option("system.memory"), "off") != 0;
}

int rf_api_on_memory_alert(uint64_t bytes, refunc_alert *callback, void *user) {
  if (!rf_thread_get()) return -ENOSYS;
  if (!sampler_looks() || rf_quiet()) return -ENOTSUP;
  uint64_t mask = rf_guard_take(&alert.guard);
  alert.callback = bytes ? callback : NULL;
  alert.user = user;
  int failed = alert.callback ? start_thread() : 0;
  rf_guard_give(&alert.guard, mask);
  if (!failed) rf_sampler_set_rss_alert(callback ? bytes : 0);
  return failed;
}
