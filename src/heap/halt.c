/* See halt.h. The helper runs on its caller's thread-local storage: raw system calls only, no errno. */
#include "heap/halt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "arch/arch.h"
#include "arch/clone.h"
#include "arch/stopped.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/signals.h"

#define SECOND 1000000000ll
#define STACK_BYTES (64u << 10)
#define LONGEST_NS (60 * SECOND)
#define NAP_NS 20000
#define MORE_THREADS 64    /* that may start while the others are being halted */
#define PTRACER 0x59616d61 /* PR_SET_PTRACER */

enum state { STARTING, ALLOWED, STANDING, RELEASED };

static void nap(void) {
  struct timespec time = {0, NAP_NS};
  rf_syscall(SYS_nanosleep, &time, 0);
}

static void set_state(struct rf_halt *halt, uint32_t state) {
  __atomic_store_n(&halt->state, state, __ATOMIC_RELEASE);
  rf_syscall(SYS_futex, &halt->state, FUTEX_WAKE, 2);
}

/* Until state is no longer before, at most until then; spurious wake-ups are passed over. */
static void await_change(const uint32_t *word, uint32_t before, int64_t until_ns) {
  for (;;) {
    int64_t left = until_ns - rf_monotonic_ns();
    if (__atomic_load_n(word, __ATOMIC_ACQUIRE) != before || left <= 0) return;
    struct timespec wait = {left / SECOND, left % SECOND};
    rf_syscall(SYS_futex, word, FUTEX_WAIT, before, &wait);
  }
}

/* ---- the process's threads ---- */

struct task {
  uint64_t inode;
  int64_t offset;
  unsigned short bytes;
  unsigned char type;
  char name[];
};

static uint32_t number_in(const char *text) {
  uint32_t number = 0;
  for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (uint32_t)(*text - '0');
  return *text ? 0 : number;
}

/* Visits every thread there is now; false: the list can't be read. */
static bool visit_tasks(struct rf_halt *halt, void (*visit)(struct rf_halt *halt, uint32_t tid)) {
  _Alignas(8) char entries[4096];
  if (rf_syscall(SYS_lseek, halt->tasks, 0, SEEK_SET) != 0) return false;
  for (;;) {
    long got = rf_syscall(SYS_getdents64, halt->tasks, entries, sizeof entries);
    if (got <= 0) return got == 0;
    for (long at = 0; at < got;) {
      const struct task *task = (const struct task *)(entries + at);
      uint32_t tid = number_in(task->name);
      if (tid && tid != halt->caller && tid != halt->left_out) visit(halt, tid);
      at += task->bytes;
    }
  }
}

static void count_task(struct rf_halt *halt, uint32_t tid) {
  (void)tid;
  halt->most++;
}

/* ---- in the helper ---- */

/* The beginning of the thread's status, with a NUL. */
static bool read_status(const struct rf_halt *halt, uint32_t tid, char *text, size_t bytes) {
  char path[32], digits[12];
  size_t n = 0, at = 0;
  for (; tid; tid /= 10) digits[n++] = (char)('0' + tid % 10);
  while (n) path[at++] = digits[--n];
  __builtin_memcpy(path + at, "/status", 8);
  long fd = rf_syscall(SYS_openat, halt->tasks, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  long got = rf_syscall(SYS_read, fd, text, bytes - 1);
  rf_syscall(SYS_close, fd);
  text[got > 0 ? got : 0] = 0;
  return got > 0;
}

/* What stands behind "\nKey:" and white space, or NULL. */
static const char *field(const char *text, const char *key) {
  for (; *text; text++) {
    size_t i = 0;
    while (key[i] && text[i] == key[i]) i++;
    if (key[i]) continue;
    for (text += i; *text == '\t' || *text == ' ';) text++;
    return text;
  }
  return NULL;
}

/* A leader that has ended stays until the other threads have, and can't be traced. */
static bool has_ended(const struct rf_halt *halt, uint32_t tid) {
  char status[512];
  if (!read_status(halt, tid, status, sizeof status)) return true;
  const char *state = field(status, "\nState:");
  return state && (*state == 'Z' || *state == 'X');
}

static uint64_t mask_in(const char *status, const char *key) {
  uint64_t mask = 0;
  for (const char *at = field(status, key); at && *at > ' '; at++)
    mask = mask << 4 | (uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
  return mask;
}

/* Such a signal would have interrupted a system call anyway. */
static bool signal_is_pending(const struct rf_halt *halt, uint32_t tid) {
  char status[4096];
  if (!read_status(halt, tid, status, sizeof status)) return false;
  return ((mask_in(status, "\nSigPnd:") | mask_in(status, "\nShdPnd:")) & ~mask_in(status, "\nSigBlk:")) != 0;
}

static bool is_known(const struct rf_halt *halt, uint32_t tid) {
  for (size_t i = 0; i < halt->threads; i++)
    if (halt->thread[i].tid == tid) return true;
  return false;
}

static void seize(struct rf_halt *halt, uint32_t tid) {
  if (is_known(halt, tid)) return;
  if (halt->threads == halt->most) {
    halt->known = false;
    return;
  }
  long refused = rf_syscall(SYS_ptrace, PTRACE_SEIZE, tid, 0, 0);
  if (refused == -ESRCH || (refused == -EPERM && has_ended(halt, tid))) return;
  halt->thread[halt->threads++] = (struct rf_halted){.tid = tid, .signal = refused ? -1 : 0};
  if (refused)
    halt->refused = refused;
  else
    rf_syscall(SYS_ptrace, PTRACE_INTERRUPT, tid, 0, 0);
}

static void take_registers(struct rf_halt *halt, struct rf_halted *thread) {
  thread->word = halt->words;
  thread->words = rf_stopped_registers((int)thread->tid, halt->word + halt->words, &thread->stack);
  halt->words += thread->words;
  thread->stands = thread->stack != 0;
}

/* A signal may come first; it is given back when the thread goes on. */
static void await_stop(struct rf_halt *halt, struct rf_halted *thread) {
  for (;;) {
    int status = 0;
    long got = rf_syscall(SYS_wait4, thread->tid, &status, __WALL | WNOHANG, 0);
    if (got < 0 || (got > 0 && !WIFSTOPPED(status))) { /* it has ended */
      *thread = (struct rf_halted){.stands = true, .signal = -1};
      return;
    }
    if (got > 0) {
      thread->signal = status >> 16 ? 0 : WSTOPSIG(status);
      take_registers(halt, thread);
      return;
    }
    if (rf_monotonic_ns() > halt->until_ns) return;
    nap();
  }
}

static bool seize_all(struct rf_halt *halt) {
  for (size_t before = SIZE_MAX, stopped = 0; before != halt->threads;) {
    before = halt->threads;
    if (!visit_tasks(halt, seize)) return false;
    for (; stopped < halt->threads; stopped++)
      if (halt->thread[stopped].signal == 0) await_stop(halt, &halt->thread[stopped]);
  }
  return true;
}

static void release_all(struct rf_halt *halt) {
  for (size_t i = 0; i < halt->threads; i++) {
    struct rf_halted *thread = &halt->thread[i];
    if (!thread->stands || thread->signal < 0) continue; /* those that did not stop go on when we end */
    if (!thread->signal && !signal_is_pending(halt, thread->tid))
      rf_stopped_begin_call_again((int)thread->tid);
    rf_syscall(SYS_ptrace, PTRACE_DETACH, thread->tid, 0, thread->signal);
  }
}

static void helper_body(void *argument) {
  struct rf_halt *halt = argument;
  rf_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  rf_syscall(SYS_prctl, PR_SET_NAME, "refunc-halt");
  await_change(&halt->state, STARTING, halt->until_ns);
  halt->known = seize_all(halt) && halt->known;
  set_state(halt, STANDING);
  await_change(&halt->state, STANDING, rf_monotonic_ns() + LONGEST_NS);
  release_all(halt);
}

/* ---- in the caller ---- */

static const char *why_not(long error) {
  switch (-error) {
  case EPERM: return "ptrace is not allowed here, or a debugger traces them";
  case ENOSYS: return "this system has no ptrace";
  case EAGAIN: return "no process can be made (RLIMIT_NPROC or a limit of the cgroup)";
  case ETIMEDOUT: return "the process that should halt them did not answer";
  default: return "no process that halts them could be made";
  }
}

/* Where only ancestors may trace (yama's ptrace_scope 1), a process may name one more. */
static bool only_ancestors_trace(void) {
  char scope = '0';
  long fd = rf_syscall(SYS_openat, AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  long got = rf_syscall(SYS_read, fd, &scope, 1);
  rf_syscall(SYS_close, fd);
  return got == 1 && scope == '1';
}

static bool make_room(struct rf_halt *halt) {
  halt->thread = rf_pages(halt->most * sizeof *halt->thread);
  halt->word = rf_pages(halt->most * RF_STOPPED_WORDS * sizeof *halt->word);
  halt->stack = rf_pages(STACK_BYTES);
  return halt->thread && halt->word && halt->stack;
}

static void drop_room(struct rf_halt *halt) {
  rf_pages_free(halt->thread, halt->most * sizeof *halt->thread);
  rf_pages_free(halt->word, halt->most * RF_STOPPED_WORDS * sizeof *halt->word);
  rf_pages_free(halt->stack, STACK_BYTES);
}

static long clone_helper(struct rf_halt *halt) {
  uint64_t signals = rf_signals_block();
  long pid = rf_clone_thread(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_UNTRACED | CLONE_PARENT_SETTID |
                                 CLONE_CHILD_CLEARTID,
                             halt->stack + STACK_BYTES, helper_body, halt, &halt->alive);
  rf_signals_restore(signals);
  return pid;
}

static void end_helper(struct rf_halt *halt) {
  set_state(halt, RELEASED);
  await_change(&halt->alive, halt->helper, rf_monotonic_ns() + SECOND);
  if (__atomic_load_n(&halt->alive, __ATOMIC_ACQUIRE)) rf_syscall(SYS_kill, halt->helper, SIGKILL);
  while (rf_syscall(SYS_wait4, halt->helper, 0, __WALL, 0) == -EINTR) {
  }
  halt->helper = 0;
}

/* The kernel lets go of what a tracer held when it ends, however it does. */
static void run_helper(struct rf_halt *halt) {
  bool name_it = only_ancestors_trace();
  if (name_it) rf_syscall(SYS_prctl, PTRACER, halt->helper);
  set_state(halt, ALLOWED);
  await_change(&halt->state, ALLOWED, halt->until_ns + SECOND);
  if (name_it) rf_syscall(SYS_prctl, PTRACER, 0);
  if (__atomic_load_n(&halt->state, __ATOMIC_ACQUIRE) == STANDING) return;
  halt->refused = -ETIMEDOUT;
  end_helper(halt);
}

static void judge(struct rf_halt *halt) {
  size_t running = 0;
  for (size_t i = 0; i < halt->threads; i++) running += !halt->thread[i].stands;
  halt->known &= halt->helper != 0;
  halt->all = halt->known && !running;
  halt->reason = halt->all ? NULL : halt->refused ? why_not(halt->refused) : "some did not stop in time";
}

/* Other threads there are none: nothing to be done. */
static bool alone(struct rf_halt *halt) {
  halt->known = visit_tasks(halt, count_task);
  halt->all = halt->known && !halt->most;
  if (halt->all) halt->reason = NULL;
  return halt->all;
}

bool rf_halt_begin(struct rf_halt *halt, uint32_t left_out, int64_t limit_ns) {
  *halt = (struct rf_halt){.left_out = left_out, .caller = (uint32_t)rf_syscall(SYS_gettid)};
  halt->tasks = (int)rf_syscall(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  halt->reason = "/proc/self/task can't be read";
  if (halt->tasks < 0 || alone(halt)) return true;
  halt->most += MORE_THREADS;
  halt->until_ns = rf_monotonic_ns() + limit_ns;
  long pid = make_room(halt) ? clone_helper(halt) : -ENOMEM;
  if (pid > 0) {
    halt->helper = (uint32_t)pid;
    run_helper(halt);
  } else {
    halt->refused = pid;
  }
  judge(halt);
  return halt->stack != NULL;
}

void rf_halt_end(struct rf_halt *halt) {
  if (halt->helper) end_helper(halt);
  if (halt->tasks >= 0) rf_syscall(SYS_close, halt->tasks);
  drop_room(halt);
}
