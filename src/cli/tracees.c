/* See tracees.h. */
#include "cli/tracees.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "arch/stopped.h"
#include "arch/tracee.h"

#define STOPS_WITHIN 3.0 /* seconds */

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void nap(void) { nanosleep(&(struct timespec){0, 100000}, NULL); }

/* A signal that arrives first is let through; the stop that was asked for comes behind it. */
static int wait_for_stop(pid_t thread) {
  int status;
  for (double end = seconds() + STOPS_WITHIN; seconds() < end;) {
    pid_t got = waitpid(thread, &status, __WALL | WNOHANG);
    if (got < 0) return -errno;
    if (got == 0) {
      nap();
      continue;
    }
    if (!WIFSTOPPED(status)) return -ESRCH;
    if (status >> 16 == PTRACE_EVENT_STOP) return 0;
    ptrace(PTRACE_CONT, thread, NULL, (void *)(uintptr_t)WSTOPSIG(status));
  }
  return -ETIMEDOUT;
}

static bool make_room(struct rf_tracees *tracees) {
  if (tracees->count < tracees->capacity) return true;
  size_t capacity = tracees->capacity ? tracees->capacity * 2 : 64;
  pid_t *grown = realloc(tracees->thread, capacity * sizeof *grown);
  if (!grown) return false;
  tracees->thread = grown;
  tracees->capacity = capacity;
  return true;
}

int rf_tracees_stop_one(struct rf_tracees *tracees, pid_t thread) {
  if (!make_room(tracees)) return -ENOMEM;
  if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0) return -errno;
  ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
  int failed = wait_for_stop(thread);
  if (failed == 0 || failed == -ETIMEDOUT) tracees->thread[tracees->count++] = thread;
  return failed;
}

static bool is_stopped(const struct rf_tracees *tracees, pid_t thread) {
  for (size_t i = 0; i < tracees->count; i++)
    if (tracees->thread[i] == thread) return true;
  return false;
}

/* A file of /proc about a thread, as text. False: the thread is gone. */
static bool read_of_thread(pid_t pid, pid_t thread, const char *name, char *text, size_t room) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)thread, name);
  FILE *file = fopen(path, "r");
  if (!file) return false;
  text[fread(text, 1, room - 1, file)] = '\0';
  fclose(file);
  return true;
}

/* The kernel says EPERM of a thread that is about to be gone, and of a leader that has ended before its process. */
static bool has_ended(pid_t pid, pid_t thread) {
  char text[512];
  if (!read_of_thread(pid, thread, "stat", text, sizeof text)) return true;
  const char *name_end = strrchr(text, ')');
  return !name_end || !name_end[1] || name_end[2] == 'Z' || name_end[2] == 'X' || name_end[2] == 'x';
}

/* Whether every thread that is there now is stopped; stops those that were not. Those that have ended can't be,
 * and needn't. */
static int stop_new(struct rf_tracees *tracees, DIR *tasks, bool *found) {
  rewinddir(tasks);
  for (struct dirent *entry; (entry = readdir(tasks));) {
    pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
    if (!isdigit((unsigned char)entry->d_name[0]) || is_stopped(tracees, thread)) continue;
    int failed = rf_tracees_stop_one(tracees, thread);
    if (failed == -ESRCH || failed == -ECHILD) continue; /* it has ended meanwhile */
    if (failed == -EPERM && has_ended(tracees->pid, thread)) continue;
    if (failed) return failed;
    *found |= !failed;
  }
  return 0;
}

int rf_tracees_stop_all(struct rf_tracees *tracees) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task", (int)tracees->pid);
  DIR *tasks = opendir(path);
  if (!tasks) return -errno;
  int failed = 0;
  for (bool found = true; found && !failed;) {
    found = false;
    failed = stop_new(tracees, tasks, &found);
  }
  closedir(tasks);
  return failed;
}

static uint64_t mask_in(const char *status, const char *name) {
  const char *at = strstr(status, name);
  return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

/* Such a signal would have interrupted a system call anyway. */
static bool signal_is_pending(pid_t pid, pid_t thread) {
  char status[8192];
  if (!read_of_thread(pid, thread, "status", status, sizeof status)) return false;
  return ((mask_in(status, "\nSigPnd:") | mask_in(status, "\nShdPnd:")) & ~mask_in(status, "\nSigBlk:")) != 0;
}

void rf_tracees_release(struct rf_tracees *tracees) {
  for (size_t i = 0; i < tracees->count; i++) {
    pid_t thread = tracees->thread[i];
    if (!signal_is_pending(tracees->pid, thread)) rf_stopped_begin_call_again(thread);
    ptrace(PTRACE_DETACH, thread, NULL, NULL);
  }
  free(tracees->thread);
  *tracees = (struct rf_tracees){.pid = tracees->pid};
}
