/*
 * See sampler.h.
 *
 *   app's thread                                  sampler's thread
 *   start: block signals, clone, restore ───────▶ own descriptors, own directory
 *                                                 first values of all sources
 *                                                 ┌▶ futex wait until the next tick, or a wish
 *                                                 │  tick; once a second: write the recording through,
 *                                                 └─ end if no thread of the app's is left
 *   stop: wish, wake, wait for the futex ◀─────── last values; the kernel zeroes the thread's number
 *   (no thread there: takes the last values itself)
 *
 * What runs there is compiled without built-ins and calls nothing of libc's (meson.build): memcpy may be a
 * traced function.
 */
#include "sample/sampler.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "recording/writer.h"
#include "sample/alert.h"
#include "sample/descriptors.h"
#include "sample/file.h"
#include "sample/gpu.h"
#include "sample/schedule.h"

#define SECOND 1000000000ll
#define STACK_BYTES (128u << 10)
#define GUARD_BYTES 4096u
#define STOP_NS (SECOND / 5)
#define RETIRE_NS SECOND
#define GONE_NS (SECOND / 50)
#define LEAST_INTERVAL_NS 1000000
#define LOOK_NS (SECOND / 20)

enum wish { RUN, STOP, RETIRE }; /* retire: end, the last totals come later */

static struct {
  uint32_t tid;  /* futex: the kernel zeroes it when the thread has ended */
  uint32_t wish; /* futex: enum wish */
  uint32_t done; /* the thread took the last totals */
  bool prepared; /* the plan is bound to a recording */
  bool ended;    /* the last totals were taken, or are out of reach */
  bool retired;
  bool leave; /* rf_descriptors_leave instead of drop */
  char *stack;
  int log_descriptor; /* in the app's table */
  int64_t interval_ns;
  void (*want_look)(void);
} sampler;

/* ---- on the sampler's thread ---- */

static uint32_t wish(void) { return __atomic_load_n(&sampler.wish, __ATOMIC_ACQUIRE); }

static bool settle_in(void) {
  long error = sampler.leave ? rf_descriptors_leave() : rf_descriptors_drop();
  if (error < 0) {
    rf_schedule_failed(RF_ABSENT_TIMELINE, "a descriptor table of its own for the sampler", error);
    return false;
  }
  rf_syscall(SYS_chdir, "/"); /* the app's file system may be unmounted */
  rf_syscall(SYS_prctl, PR_SET_NAME, "refunc-sampler");
  return true;
}

static void wait_until(int64_t when_ns) {
  struct timespec until = {when_ns / SECOND, when_ns % SECOND};
  while (wish() == RUN && rf_syscall(SYS_futex, &sampler.wish, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, RUN,
                                     &until, 0, FUTEX_BITSET_MATCH_ANY) != -ETIMEDOUT) {
  }
}

/* Ticks that were missed (a stopped process, a starved machine) are not made up for. */
static int64_t next_tick(int64_t due_ns) {
  int64_t now_ns = rf_monotonic_ns();
  due_ns += sampler.interval_ns;
  return due_ns > now_ns ? due_ns : now_ns + sampler.interval_ns;
}

/* A disk that refuses is said once, by whoever meets it. */
static void write_through(void) {
  bool borrowed = rf_descriptors_borrow(sampler.log_descriptor);
  rf_recording_flush(false);
  if (borrowed) rf_descriptors_give_back(sampler.log_descriptor);
}

/* At least LOOK_NS apart: each takes the app's threads a microsecond and more. */
static void want_look(int64_t *when_ns) {
  int64_t now_ns = rf_monotonic_ns();
  if (!sampler.want_look || now_ns < *when_ns) return;
  *when_ns = now_ns + LOOK_NS;
  sampler.want_look();
}

static void loop(void) {
  int64_t due_ns = rf_monotonic_ns(), second_ns = due_ns + SECOND, look_ns = due_ns;
  for (;;) {
    due_ns = next_tick(due_ns);
    wait_until(due_ns);
    if (wish() != RUN) return;
    rf_schedule_tick();
    want_look(&look_ns);
    if (rf_monotonic_ns() < second_ns) continue;
    second_ns = rf_monotonic_ns() + SECOND - sampler.interval_ns / 2;
    write_through();
    if (rf_schedule_alone()) return;
  }
}

static void thread_body(void *unused) {
  if (!settle_in()) return;
  rf_schedule_open(true);
  loop();
  bool ending = wish() != RETIRE;
  if (wish() == RUN) rf_gpu_ask_stop(); /* the app's threads are all gone */
  rf_schedule_close(true, ending);
  if (wish() == RUN) write_through();
  __atomic_store_n(&sampler.done, ending, __ATOMIC_RELEASE);
}

/* ---- on the app's threads ---- */

static bool make_stack(void) {
  if (!sampler.stack) sampler.stack = rf_pages(GUARD_BYTES + STACK_BYTES);
  if (!sampler.stack) return false;
  return rf_syscall(SYS_mprotect, sampler.stack, GUARD_BYTES, PROT_NONE) == 0;
}

static void drop_stack(void) {
  if (sampler.stack) rf_pages_free(sampler.stack, GUARD_BYTES + STACK_BYTES);
  sampler.stack = NULL;
}

/* Blocks all signals, glibc's internal ones too: sigprocmask() would leave those out. */
static uint64_t block_signals(void) {
  uint64_t all = ~0ull, before = 0;
  rf_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  return before;
}

static void restore_signals(uint64_t before) {
  rf_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
}

static long clone_thread(void) {
  unsigned long flags =
      CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
  if (!make_stack()) return -ENOMEM;
  sampler.leave = rf_descriptors_can_leave() != 0;
  if (sampler.leave) flags |= CLONE_FILES;
  uint64_t before = block_signals();
  long tid =
      rf_clone_thread(flags, sampler.stack + GUARD_BYTES + STACK_BYTES, thread_body, NULL, &sampler.tid);
  restore_signals(before);
  if (tid < 0) drop_stack();
  return tid;
}

static bool running(void) { return __atomic_load_n(&sampler.tid, __ATOMIC_ACQUIRE) != 0; }

uint32_t rf_sampler_tid(void) { return __atomic_load_n(&sampler.tid, __ATOMIC_ACQUIRE); }

static int start(const struct rf_sampler_plan *plan) {
  if (sampler.retired) return -EPERM;
  if (running()) return -EALREADY;
  sampler.prepared = rf_schedule_prepare(plan);
  if (!sampler.prepared) return -ENOSPC;
  sampler.want_look = plan->want_look;
  sampler.interval_ns = plan->system ? plan->interval_ns : SECOND;
  if (sampler.interval_ns < LEAST_INTERVAL_NS) sampler.interval_ns = LEAST_INTERVAL_NS;
  sampler.wish = RUN;
  sampler.done = 0;
  sampler.ended = false;
  sampler.log_descriptor = rf_log_fd();
  rf_alert_log_descriptor(sampler.log_descriptor);
  if (plan->system) rf_gpu_start(plan->gpu, sampler.interval_ns);
  long tid = clone_thread();
  if (tid >= 0) return 0;
  rf_schedule_failed(RF_ABSENT_SYSTEM, "the sampler's thread", tid);
  rf_schedule_open(false); /* so that there are totals at the end */
  return (int)tid;
}

int rf_sampler_start(const struct rf_sampler_plan *plan) {
  uint32_t before = rf_float_reset();
  int result = start(plan);
  rf_float_restore(before);
  return result;
}

/* True once the thread has ended. Its kernel wakes a shared futex. */
static bool join_thread(int64_t deadline_ns) {
  for (;;) {
    uint32_t tid = __atomic_load_n(&sampler.tid, __ATOMIC_ACQUIRE);
    int64_t left = deadline_ns - rf_monotonic_ns();
    if (tid == 0) return true;
    if (left <= 0) return false;
    struct timespec wait = {left / SECOND, left % SECOND};
    rf_syscall(SYS_futex, &sampler.tid, FUTEX_WAIT, tid, &wait);
  }
}

/* The kernel tells that a thread has ended some microseconds before it is gone from the process's list:
 * whoever looks there for threads with the old credentials shall find none. */
static void see_it_gone(uint32_t tid) {
  int64_t deadline_ns = rf_monotonic_ns() + GONE_NS;
  while (rf_syscall(SYS_tgkill, rf_syscall(SYS_getpid), tid, 0) == 0 && rf_monotonic_ns() < deadline_ns)
    rf_syscall(SYS_sched_yield);
}

/* A thread that does not end in time is left as it is, its stack too. */
static bool end_thread(enum wish how, int64_t deadline_ns) {
  uint32_t tid = __atomic_load_n(&sampler.tid, __ATOMIC_ACQUIRE);
  __atomic_store_n(&sampler.wish, how, __ATOMIC_RELEASE);
  rf_syscall(SYS_futex, &sampler.wish, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
  if (!join_thread(deadline_ns)) return false;
  if (tid) see_it_gone(tid);
  drop_stack();
  return true;
}

/* The last totals on a thread of the app's, where the sampler's did not take them. */
static void take_totals(void) {
  if (sampler.done) return;
  uint32_t before = rf_float_reset();
  rf_schedule_close(false, true);
  rf_float_restore(before);
}

void rf_sampler_stop(void) {
  if (!sampler.prepared || sampler.ended) return;
  sampler.ended = true;
  int64_t deadline_ns = rf_monotonic_ns() + STOP_NS;
  rf_gpu_stop(deadline_ns);
  if (rf_monotonic_ns() > deadline_ns - STOP_NS / 2)
    deadline_ns += STOP_NS / 2; /* a GPU that did not answer */
  if (end_thread(STOP, deadline_ns)) take_totals();
}

/* Ends the thread for good, on the way to a state in which it may not live. False: it did not end in time. */
static bool retire(enum wish how, const char *why) {
  bool first = !sampler.retired;
  sampler.retired = true;
  if (!sampler.prepared || !running()) return true;
  if (first) rf_schedule_absent(RF_ABSENT_TIMELINE, why);
  return end_thread(how, rf_monotonic_ns() + RETIRE_NS);
}

void rf_sampler_retire(const char *why) {
  if (!retire(RETIRE, why)) sampler.ended = true; /* its state is its own */
}

void rf_sampler_seal(const char *why) {
  if (sampler.prepared && !sampler.ended) {
    rf_gpu_stop(rf_monotonic_ns() + STOP_NS);
    if (retire(STOP, why)) take_totals();
  }
  sampler.retired = sampler.ended = true;
}

void rf_sampler_forget(void) {
  drop_stack();
  rf_gpu_forget();
  rf_schedule_forget();
  sampler.tid = sampler.wish = sampler.done = 0;
  sampler.prepared = sampler.ended = sampler.retired = false;
}
