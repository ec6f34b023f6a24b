/*
 * The process's threads: how many (the link count of /proc/self/task, far cheaper than reading a file), and
 * how long they were ready to run but had no core (schedstat of each). Refunc's own are left out.
 *
 * The delay of threads that ended between two looks is lost, so the sum is a lower bound for threads that
 * live less than a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "arch/arch.h"
#include "sample/file.h"
#include "sample/reading.h"

#define TASKS 256

struct task {
  uint64_t tid, delay_ns;
};

static struct {
  struct task seen[2][TASKS];
  uint32_t count[2], now; /* which of the two is the latest look */
  uint64_t sum_ns;
  uint64_t own_tid;
} delays;

static void forget_tasks(void) {
  delays.count[0] = delays.count[1] = delays.now = 0;
  delays.sum_ns = 0;
}

/* Threads of the process, Refunc's included; 0 where that can't be told. */
static uint64_t thread_count(struct rf_reading *r) {
  struct stat status;
  struct rf_note path = rf_note_in(r->path, sizeof r->path);
  rf_note_add(&path, r->proc_root);
  rf_note_add(&path, "/self/task");
  if (rf_syscall(SYS_newfstatat, AT_FDCWD, r->path, &status, 0) < 0) return 0;
  return status.st_nlink > 2 ? status.st_nlink - 2 : 0;
}

static void read_threads(struct rf_reading *r) {
  uint64_t threads = rf_less(thread_count(r), r->own_threads);
  if (threads == 0) return;
  rf_reading_set(r, RF_METRIC_THREADS, (double)threads);
  if (threads > r->header->threads_max)
    __atomic_store_n(&r->header->threads_max, (uint32_t)threads, __ATOMIC_RELAXED);
}

/* What tid had at the look before; threads are listed in the same order each time, so the search starts at
 * hint. */
static uint64_t delay_before(uint64_t tid, uint32_t *hint) {
  const struct task *before = delays.seen[!delays.now];
  uint32_t count = delays.count[!delays.now];
  for (uint32_t i = 0; i < count; i++) {
    uint32_t at = (*hint + i) % count;
    if (before[at].tid != tid) continue;
    *hint = at + 1;
    return before[at].delay_ns;
  }
  return 0;
}

struct look {
  struct rf_reading *reading;
  uint32_t hint;
  long error;
};

/* schedstat: time on a core, time ready without one, times it ran. */
static long task_delay(struct rf_reading *r, const char *tid, uint64_t *delay_ns) {
  struct rf_note path = rf_note_in(r->path, sizeof r->path);
  struct rf_scan text;
  uint64_t ran;
  rf_note_add(&path, r->proc_root);
  rf_note_add(&path, "/self/task/");
  rf_note_add(&path, tid);
  rf_note_add(&path, "/schedstat");
  long error = rf_reading_path(r, false, &text);
  if (error < 0) return error;
  return rf_scan_number(&text, &ran) && rf_scan_number(&text, delay_ns) ? 0 : -EBADMSG;
}

static bool look_at_task(const char *name, void *user) {
  struct look *look = user;
  struct task task = {0};
  struct rf_scan digits = {name, name + rf_scan_length(name)};
  uint32_t count = delays.count[delays.now];
  if (!rf_scan_number(&digits, &task.tid) || task.tid == delays.own_tid) return true;
  if (count == TASKS)
    look->error = -EFBIG;
  else
    look->error = task_delay(look->reading, name, &task.delay_ns);
  if (look->error == -ESRCH || (look->error == -ENOENT && count > 0)) return true; /* it has just ended */
  if (look->error < 0) return false;
  delays.sum_ns += rf_less(task.delay_ns, delay_before(task.tid, &look->hint));
  delays.seen[delays.now][count] = task;
  delays.count[delays.now] = count + 1;
  return true;
}

static void read_delays(struct rf_reading *r) {
  struct look look = {.reading = r};
  char folder[256];
  struct rf_note path = rf_note_in(folder, sizeof folder);
  rf_note_add(&path, r->proc_root);
  rf_note_add(&path, "/self/task");
  delays.now = !delays.now;
  delays.count[delays.now] = 0;
  delays.own_tid = r->own_thread ? (uint64_t)rf_syscall(SYS_gettid) : 0;
  long error = rf_file_folder(folder, look_at_task, &look);
  if (error == 0 && look.error == -EFBIG)
    rf_reading_absent(r, RF_ABSENT_RUN_DELAY,
                      "the process had more than 256 threads at once: not all were read");
  else if (error < 0 || (look.error < 0 && delays.count[delays.now] == 0))
    rf_reading_failed(r, RF_ABSENT_RUN_DELAY, "/proc/self/task/*/schedstat", error < 0 ? error : look.error);
  else
    rf_reading_total(r, &r->totals->run_delay_ns, delays.sum_ns);
}

static bool open_tasks(struct rf_reading *r) {
  read_threads(r);
  read_delays(r);
  if (!r->whole_life) delays.sum_ns = 0;
  return true;
}

static bool open_threads(struct rf_reading *r) {
  read_threads(r);
  return true;
}

const struct rf_source rf_source_threads = {
    .name = "system.timeline", .open = open_threads, .read = read_threads};

const struct rf_source rf_source_tasks = {.name = "system.cpu.run_delay_s",
                                          .period_ns = 1000000000,
                                          .open = open_tasks,
                                          .read = read_delays,
                                          .forget = forget_tasks};
