/*
 * refunc trace add|remove PATTERN PID: what base/change.h describes, from the tool's side. While the library
 * plans, only the thread that it plans on stands still; while code is written, all do, for less than a
 * millisecond mostly.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "arch/tracee.h"
#include "base/change.h"
#include "cli/command.h"
#include "cli/tracees.h"
#include "recording/reader.h"

#define PLANS_WITHIN 60.0         /* seconds */
#define TRIES 400                 /* of threads that are in the middle of something, 5 ms apart */
#define SCANNED ((size_t)1 << 20) /* bytes of each stack that are searched for signal frames */

struct job {
  bool add;
  const char *pattern;
  struct rf_tracees tracees;
  struct rf_header header;
  int recording, memory; /* descriptors; recording: locked, so that changes come one after the other */
  struct rf_change *box;
  struct rf_change_edit *edits;
};

static void nap(long microseconds) { nanosleep(&(struct timespec){0, microseconds * 1000}, NULL); }

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static bool read_memory(const struct job *job, uint64_t address, void *bytes, size_t count) {
  return pread(job->memory, bytes, count, (off_t)address) == (ssize_t)count;
}

static bool write_memory(const struct job *job, uint64_t address, const void *bytes, size_t count) {
  return pwrite(job->memory, bytes, count, (off_t)address) == (ssize_t)count;
}

/* ---- errors ---- */

static long tracer_of(pid_t pid) {
  char path[64], line[256];
  long tracer = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "TracerPid: %ld", &tracer) == 1) break;
  if (file) fclose(file);
  return tracer;
}

static int fail_stopping(const struct job *job, int error) {
  pid_t pid = job->tracees.pid;
  struct stat owner;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d", (int)pid);
  long tracer = tracer_of(pid);
  if (tracer)
    return rf_fail(RF_NO, "trace: process %d is held by a debugger (process %ld)", (int)pid, tracer);
  if (stat(path, &owner) == 0 && owner.st_uid != geteuid() && geteuid() != 0)
    return rf_fail(RF_NO, "trace: process %d belongs to another user (uid %u)", (int)pid, owner.st_uid);
  if (error == -EPERM || error == -EACCES)
    return rf_fail(RF_NO,
                   "trace: this system does not let process %d be stopped with ptrace (see "
                   "kernel.yama.ptrace_scope, or CAP_SYS_PTRACE in a "
                   "container)",
                   (int)pid);
  if (error == -ETIMEDOUT)
    return rf_fail(
        RF_NO,
        "trace: a thread of process %d can't be stopped: it waits inside the kernel; nothing was changed",
        (int)pid);
  if (error == -ESRCH || error == -ENOENT) return rf_fail(RF_NO, "trace: process %d has ended", (int)pid);
  return rf_fail(RF_NO, "trace: process %d: %s", (int)pid, strerror(-error));
}

/* ---- the library's part ---- */

static bool is_library_code(const struct job *job, uintptr_t place) {
  return place >= job->header.code_low && place < job->header.code_high;
}

/* The library's answer, or a signal that says that it has crashed. */
static bool await_answer(const struct job *job, pid_t thread) {
  uint64_t state_at = job->header.change_box + offsetof(struct rf_change, state);
  uint32_t state = RF_CHANGE_ASKED;
  int status;
  for (double end = seconds() + PLANS_WITHIN; seconds() < end; nap(100)) {
    if (!read_memory(job, state_at, &state, sizeof state) || state == RF_CHANGE_ANSWERED)
      return state == RF_CHANGE_ANSWERED;
    if (waitpid(thread, &status, __WALL | WNOHANG) == thread && WIFSTOPPED(status) && status >> 16 == 0)
      return false;
  }
  return false;
}

static void stop_again(pid_t thread) {
  int status;
  if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) != 0) return;
  for (int i = 0; i < 30000; i++, nap(100))
    if (waitpid(thread, &status, __WALL | WNOHANG) != 0) return;
}

/* Has the stopped thread run the library's function; it is as before then. */
static int plan_on(const struct job *job, pid_t thread) {
  struct rf_tracee *kept = rf_tracee_keep(thread);
  if (!kept) return -EIO;
  if (is_library_code(job, rf_tracee_place(thread))) {
    rf_tracee_give_back(thread, kept);
    return -EAGAIN;
  }
  const struct rf_header *h = &job->header;
  bool runs = rf_tracee_run(thread, kept, h->change_entry, h->change_stack, h->change_box) &&
              ptrace(PTRACE_CONT, thread, NULL, NULL) == 0;
  bool answered = runs && await_answer(job, thread);
  if (runs) stop_again(thread);
  rf_tracee_give_back(thread, kept);
  if (!answered || !read_memory(job, h->change_box, job->box, sizeof *job->box)) return -EIO;
  return job->box->result == RF_CHANGE_BUSY ? -EAGAIN : 0;
}

/* Threads that the app runs: those that the recording knows. */
static size_t known_threads(const struct job *job, const char *path, pid_t *list, size_t most) {
  char error[1024];
  size_t count = 0;
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  struct rf_thread_entry entry;
  if (!reader) return 0;
  struct rf_cursor cursor = rf_cursor_at(reader, job->header.root[RF_TABLE_THREAD], RF_TABLE_THREAD);
  while (count < most && rf_cursor_next(&cursor, &entry, sizeof entry))
    if (entry.tid) list[count++] = (pid_t)entry.tid;
  rf_reader_close(reader);
  return count;
}

static bool ask(struct job *job) {
  memset(job->box, 0, sizeof *job->box);
  job->box->state = RF_CHANGE_ASKED;
  job->box->kind = job->add ? RF_CHANGE_ADD : RF_CHANGE_REMOVE;
  memcpy(job->box->pattern, job->pattern, strlen(job->pattern) + 1);
  return write_memory(job, job->header.change_box, job->box, sizeof *job->box);
}

/* On one thread after the other until one is not in the middle of something. */
static int plan(struct job *job, const char *path) {
  pid_t threads[64];
  size_t count = known_threads(job, path, threads, sizeof threads / sizeof *threads);
  int failed = -EAGAIN;
  if (!count) return -ESRCH;
  for (int i = 0; i < TRIES && failed; i++) {
    if (!ask(job)) return -EACCES;
    failed = rf_tracees_stop_one(&job->tracees, threads[(size_t)i % count]);
    if (!failed) failed = plan_on(job, threads[(size_t)i % count]);
    if (!failed) break;
    rf_tracees_release(&job->tracees);
    if (failed == -ESRCH && kill(job->tracees.pid, 0) == 0) failed = -EAGAIN;
    if (failed != -EAGAIN) break;
    nap(5000);
  }
  return failed;
}

/* ---- the writing ---- */

static int by_address(const void *a, const void *b) {
  const struct rf_change_edit *x = a, *y = b;
  return x->address < y->address ? -1 : x->address > y->address;
}

static bool take_edits(struct job *job) {
  size_t count = job->box->edit_count, bytes = count * sizeof *job->edits;
  job->edits = malloc(bytes + 1);
  if (!job->edits || (count && !read_memory(job, job->box->edits, job->edits, bytes))) return false;
  qsort(job->edits, count, sizeof *job->edits, by_address);
  return true;
}

/* The edit under which an address lies. */
static struct rf_change_edit *edit_over(const struct job *job, uint64_t address) {
  size_t low = 0, high = job->box->edit_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (job->edits[middle].address <= address)
      low = middle + 1;
    else
      high = middle;
  }
  struct rf_change_edit *edit = low ? &job->edits[low - 1] : NULL;
  return edit && address - edit->address < edit->count ? edit : NULL;
}

/* Return addresses never lie there, but a signal handler's frame may say that it came from there: such a
 * function is left for now. */
static bool stack_leads_there(const struct job *job, pid_t thread) {
  static uint64_t words[8192];
  uintptr_t at = rf_tracee_stack(thread) & ~(uintptr_t)7;
  for (size_t done = 0; at && done < SCANNED; done += sizeof words) {
    ssize_t got = pread(job->memory, words, sizeof words, (off_t)(at + done));
    for (ssize_t i = 0; i < got / 8; i++) {
      const struct rf_change_edit *edit = edit_over(job, words[i]);
      if (edit && edit->moved[words[i] - edit->address]) return true;
    }
    if (got < (ssize_t)sizeof words) break;
  }
  return false;
}

static bool threads_stand_clear(const struct job *job) {
  for (size_t i = 0; i < job->tracees.count; i++)
    if (stack_leads_there(job, job->tracees.thread[i])) return false;
  return true;
}

static void move_threads(const struct job *job) {
  for (size_t i = 0; i < job->tracees.count; i++) {
    uintptr_t place = rf_tracee_place(job->tracees.thread[i]);
    const struct rf_change_edit *edit = edit_over(job, place);
    if (edit && edit->moved[place - edit->address])
      rf_tracee_move(job->tracees.thread[i], edit->moved[place - edit->address]);
  }
}

/* Only where the code is what the library saw: a library may have been closed meanwhile. Answers how many
 * could not be written. */
static size_t write_edits(const struct job *job) {
  size_t failed = 0;
  for (size_t i = 0; i < job->box->edit_count; i++) {
    const struct rf_change_edit *edit = &job->edits[i];
    uint8_t now[RF_CHANGE_JUMP];
    bool same = read_memory(job, edit->address, now, edit->count) && !memcmp(now, edit->before, edit->count);
    bool done = read_memory(job, edit->address, now, edit->count) && !memcmp(now, edit->after, edit->count);
    failed += !done && !(same && write_memory(job, edit->address, edit->after, edit->count));
  }
  return failed;
}

static int write_all(struct job *job, size_t *unwritten) {
  int failed = 0;
  for (int i = 0; i < TRIES; i++) {
    failed = rf_tracees_stop_all(&job->tracees);
    bool clear = !failed && threads_stand_clear(job);
    if (clear) {
      move_threads(job);
      *unwritten = write_edits(job);
    }
    rf_tracees_release(&job->tracees);
    if (failed || clear) return failed;
    nap(5000);
  }
  return -EBUSY;
}

/* ---- the command ---- */

static int tell(const struct job *job, size_t unwritten) {
  const struct rf_change *box = job->box;
  if (box->result == RF_CHANGE_REFUSED) return rf_fail(RF_NO, "trace: %s", box->text);
  if (unwritten)
    return rf_fail(RF_NO, "trace: the code of %zu of %u functions could not be changed", unwritten,
                   box->changed);
  if (box->changed || box->unchanged) {
    printf("%u function%s %s", box->changed, box->changed == 1 ? "" : "s", job->add ? "added" : "removed");
    if (box->unchanged) printf(", %u %s", box->unchanged, job->add ? "traced already" : "removed already");
    if (box->skipped) printf(", %u can't be timed", box->skipped);
    putchar('\n');
    return RF_OK;
  }
  if (box->skipped)
    return rf_fail(RF_NO, "trace: %u function%s can't be timed: %s", box->skipped,
                   box->skipped == 1 ? "" : "s", box->text);
  if (!job->add)
    return rf_fail(RF_NO, "trace: no traced function of process %d matches %s", (int)job->tracees.pid,
                   job->pattern);
  char near[sizeof box->text];
  snprintf(near, sizeof near, "%s", box->text);
  for (char *at = near; *at; at++)
    if (*at == '\n') *at = ' ';
  return rf_fail(RF_NO, "trace: no function of process %d matches %s%s%s", (int)job->tracees.pid,
                 job->pattern, *near ? "; near: " : "", near);
}

/* Between the two, a tool that is ended would leave a thread of the app standing: what can be put off is. */
static int change(struct job *job, const char *path) {
  sigset_t all, before;
  size_t unwritten = 0;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  int failed = plan(job, path);
  if (!failed && job->box->result == RF_CHANGE_DONE && job->box->edit_count) {
    if (!take_edits(job))
      failed = -EIO;
    else
      failed = write_all(job, &unwritten);
  }
  rf_tracees_release(&job->tracees);
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (failed == -EAGAIN)
    return rf_fail(RF_NO, "trace: process %d is busy loading libraries; nothing was changed",
                   (int)job->tracees.pid);
  if (failed == -EBUSY)
    return rf_fail(RF_NO,
                   "trace: a signal handler of process %d stands in the functions' first bytes all the time; "
                   "run it again",
                   (int)job->tracees.pid);
  return failed ? fail_stopping(job, failed) : tell(job, unwritten);
}

static int open_process(struct job *job, const char *path) {
  char memory[64];
  snprintf(memory, sizeof memory, "/proc/%d/mem", (int)job->tracees.pid);
  job->recording = open(path, O_RDONLY | O_CLOEXEC);
  if (job->recording < 0 ||
      pread(job->recording, &job->header, sizeof job->header, 0) != (ssize_t)sizeof job->header)
    return rf_fail(RF_NO, "trace: %s: %m", path);
  if (job->header.pid != (uint32_t)job->tracees.pid || !job->header.change_entry)
    return rf_fail(RF_NO, "trace: the library in process %d takes no changes (it is of Refunc %s)",
                   (int)job->tracees.pid, job->header.writer_version);
  job->memory = open(memory, O_RDWR | O_CLOEXEC);
  if (job->memory < 0) return fail_stopping(job, -errno);
  flock(job->recording, LOCK_EX);
  return RF_OK;
}

static int change_process(struct job *job) {
  char path[4096];
  if (kill(job->tracees.pid, 0) != 0 && errno == ESRCH)
    return rf_fail(RF_NO, "trace: there is no process %d", (int)job->tracees.pid);
  if (rf_recording_of_process((uint32_t)job->tracees.pid, rf_variable("XDG_RUNTIME_DIR"), path,
                              sizeof path) != 0)
    return rf_fail(
        RF_NO, "trace: process %d is not recorded, or is not yours; start it with refunc run or the preload",
        (int)job->tracees.pid);
  int status = open_process(job, path);
  job->box = malloc(sizeof *job->box);
  if (status == RF_OK && job->box) status = change(job, path);
  if (job->recording >= 0) close(job->recording);
  if (job->memory >= 0) close(job->memory);
  free(job->box);
  free(job->edits);
  return status;
}

static int run_trace(int argc, char **argv) {
  struct rf_args args = rf_args_begin(argc, argv);
  struct job job = {.recording = -1, .memory = -1};
  char *end = NULL;
  if (rf_args_at_option(&args)) return rf_args_unknown(&args, RF_NO, "trace", NULL, false);
  if (argc != 4 || (strcmp(argv[1], "add") != 0 && strcmp(argv[1], "remove") != 0))
    return rf_fail(RF_NO,
                   "trace: needs add or remove, a pattern and a process: refunc trace add 'SSL_*' 1234");
  job.add = !strcmp(argv[1], "add");
  job.pattern = argv[2];
  job.tracees.pid = (pid_t)strtol(argv[3], &end, 10);
  if (!isdigit((unsigned char)argv[3][0]) || *end || job.tracees.pid <= 0)
    return rf_fail(RF_NO, "trace: %s is no process number", argv[3]);
  if (strlen(job.pattern) >= sizeof job.box->pattern) return rf_fail(RF_NO, "trace: the pattern is too long");
  return change_process(&job);
}

const struct rf_command rf_command_trace = {
    .name = "trace",
    .usage = "add|remove PATTERN PID",
    .summary = "times more functions of a running process, or fewer",
    .help = "The process must have been started with refunc run or the preload. All its threads are stopped "
            "for a moment (with ptrace: no signal, no\n"
            "interrupted system call). Functions that are removed stay in the report; added again, they go "
            "on where they were. Libraries that the\n"
            "process opens later follow the last change that matches.\n\n"
            "Exit status: 0, 1 when nothing matches or the process can't be changed.\n",
    .run = run_trace};
