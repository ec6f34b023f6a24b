/* See thread_clock.h. */
#include "trace/thread_clock.h"

#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/quiet.h"
#include "base/signals.h"
#include "base/thread.h"
#include "recording/writer.h"

#define PAGE 4096
#define NO_LOCK 1u /* the kernel leaves an even number */

uint64_t rf_nanoseconds_per_cycle;
static bool refused;

static void say_refused(void) {
  rf_record_unavailable("self.thread_time_without_system_calls",
                        "perf_event_open was refused (see kernel.perf_event_paranoid, and RLIMIT_NOFILE and "
                        "RLIMIT_MEMLOCK): with "
                        "timing.mode=thread_time each clock read is a system call");
}

/* The mapping keeps the event alive, so no descriptor stays open. Where the kernel refuses it, every read
 * stays a system call. On an own stack; cost: about 20 us. */
static void open_event(struct rf_thread *thread) {
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE,
                                  .size = sizeof event,
                                  .config = PERF_COUNT_SW_DUMMY,
                                  .exclude_kernel = 1,
                                  .exclude_hv = 1};
  uint64_t mask = rf_signals_block();
  long fd = rf_syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC), page = -1;
  if (fd >= 0) {
    page = rf_syscall(SYS_mmap, 0, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    rf_syscall(SYS_close, fd);
  }
  if (page > 0) {
    thread->cpu_lock = NO_LOCK;
    thread->cpu_page =
        (const volatile uint32_t *)((uintptr_t)page + offsetof(struct perf_event_mmap_page, lock));
  } else if (!__atomic_exchange_n(&refused, true, __ATOMIC_RELAXED)) {
    rf_with_vectors_saved(say_refused, 0, 0);
  }
  rf_signals_restore(mask);
}

void rf_thread_clock_close(struct rf_thread *thread) {
  uintptr_t page = (uintptr_t)thread->cpu_page & ~(uintptr_t)(PAGE - 1);
  thread->cpu_page = NULL;
  thread->cpu_last = 0;
  if (page) rf_syscall(SYS_munmap, page, PAGE);
}

/* A switch between the two looks at the lock makes the anchor void at the next read. A signal handler that
 * reads in between leaves a good anchor, which is then written over by one that is as good. */
static uint64_t ask_kernel(struct rf_thread *thread) {
  struct timespec time;
  uint32_t lock = thread->cpu_page ? *thread->cpu_page : NO_LOCK;
  if (rf_quiet() || rf_syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &time) != 0)
    return thread->cpu_last;
  uint64_t now = rf_cycles(), cpu = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
  thread->cpu_lock = NO_LOCK;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  thread->cpu_anchor = now;
  thread->cpu_at_anchor = cpu;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  thread->cpu_lock = lock;
  return cpu;
}

RF_PRESERVE_ALL uint64_t rf_thread_clock_ask(struct rf_thread *thread) {
  bool wanted = !thread->cpu_page && thread->entry && !refused && rf_nanoseconds_per_cycle && !rf_quiet();
  if (wanted) rf_preserved_on_own_stack((uintptr_t)thread, 0, 0, open_event);
  return ask_kernel(thread);
}
