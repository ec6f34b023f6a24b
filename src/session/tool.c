/* See tool.h. */
#include "session/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "arch/clone.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/signals.h"

#define STACK_BYTES ((size_t)64 << 10)
#define MOST_VARIABLES 4096

static char tool[PATH_MAX];

static bool executable(const char *path) {
  return rf_syscall(SYS_faccessat, AT_FDCWD, path, 1 /* X_OK */) == 0;
}

/* The library's place, as installed (PREFIX/lib/ARCH or PREFIX/lib) or as built (BUILD/preload). */
void rf_tool_find(const char *library) {
  static const char *const places[] = {"../bin/refunc", "../../bin/refunc", "../src/cli/refunc", "refunc"};
  char folder[PATH_MAX], path[PATH_MAX];
  size_t length = strlen(library);
  if (length >= sizeof folder) return;
  memcpy(folder, library, length + 1);
  char *slash = strrchr(folder, '/');
  if (!slash) return;
  *slash = '\0';
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    if (snprintf(path, sizeof path, "%s/%s", folder, places[i]) >= (int)sizeof path || !executable(path))
      continue;
    long fd = rf_syscall(SYS_openat, AT_FDCWD, path, O_PATH | O_CLOEXEC);
    if (fd < 0) continue;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%ld", fd);
    long end = rf_syscall(SYS_readlinkat, AT_FDCWD, link, tool, sizeof tool - 1);
    rf_syscall(SYS_close, fd);
    if (end > 0) tool[end] = '\0';
    return;
  }
}

const char *rf_tool_path(void) { return tool[0] ? tool : NULL; }

struct launch {
  const char *const *arguments;
  const char *const *environment;
};

/* Runs in the child, which shares the parent's memory until it execs: raw system calls only. */
static void launch(void *argument) {
  struct launch *what = argument;
  struct {
    uintptr_t handler;
    unsigned long flags;
    uintptr_t restorer;
    uint64_t mask;
  } ignored = {0};
  for (int number = 1; number <= 31; number++)
    rf_syscall(SYS_rt_sigaction, number, &ignored, 0, sizeof(uint64_t));
  rf_signals_restore(0);
  rf_syscall(SYS_execve, tool, what->arguments, what->environment);
  rf_syscall(SYS_exit, 127);
}

/* The environment without what would load Refunc into the helper. */
static const char **clean_environment(char *const *environment) {
  const char **clean = rf_calloc(MOST_VARIABLES + 1, sizeof *clean);
  size_t count = 0;
  for (; clean && environment && *environment && count < MOST_VARIABLES; environment++)
    if (strncmp(*environment, "LD_PRELOAD=", 11) != 0 && strncmp(*environment, "REFUNC_", 7) != 0)
      clean[count++] = *environment;
  return clean;
}

static int wait_for(long pid, int deadline_ms) {
  int64_t deadline = rf_monotonic_ns() + deadline_ms * 1000000ll;
  for (long pause_ns = 200000;; pause_ns = pause_ns < 5000000 ? pause_ns * 2 : pause_ns) {
    int status = 0;
    long ended = rf_syscall(SYS_wait4, pid, &status, WNOHANG | __WALL, 0);
    if (ended == pid) return WIFEXITED(status) ? WEXITSTATUS(status) : -EIO;
    if (ended < 0 && ended != -EINTR) return (int)ended;
    if (rf_monotonic_ns() > deadline) {
      rf_syscall(SYS_kill, pid, SIGKILL);
      rf_syscall(SYS_wait4, pid, &status, __WALL, 0);
      return -ETIMEDOUT;
    }
    struct {
      int64_t seconds, ns;
    } pause = {0, pause_ns};
    rf_syscall(SYS_nanosleep, &pause, 0);
  }
}

int rf_tool_run(const char *const *arguments, char *const *environment, int deadline_ms) {
  if (!tool[0]) return -ENOENT;
  char *stack = rf_pages(STACK_BYTES);
  struct launch what = {arguments, clean_environment(environment)};
  if (!stack || !what.environment) return -ENOMEM;
  unsigned tid = 0;
  uint64_t mask = rf_signals_block();
  long pid = rf_clone_thread(CLONE_VM | CLONE_VFORK, stack + STACK_BYTES, launch, &what, &tid);
  rf_signals_restore(mask);
  int status = pid < 0 ? (int)pid : wait_for(pid, deadline_ms);
  rf_free((void *)what.environment);
  rf_pages_free(stack, STACK_BYTES);
  return status;
}
