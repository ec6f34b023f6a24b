/*
 *   tool ──fork──▶ child: environment, signal mask and handlers as they were, exec
 *     │  sigwaitinfo: SIGCHLD ▶ wait; others ▶ kill(child), unless the terminal has sent them to both already
 *
 * A pipe that exec closes tells whether the program was started.
 */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"

static const int forwarded[] = {SIGINT,  SIGTERM,  SIGHUP,  SIGQUIT, SIGUSR1,
                                SIGUSR2, SIGWINCH, SIGCONT, SIGALRM, SIGTSTP};

/* --- the child --- */

static bool prepend_library(const char *library) {
  const char *before = rf_variable("LD_PRELOAD");
  char *value;
  if (!before || !*before) return setenv("LD_PRELOAD", library, 1) == 0;
  if (asprintf(&value, "%s:%s", library, before) < 0) return false;
  bool done = setenv("LD_PRELOAD", value, 1) == 0;
  free(value);
  return done;
}

static bool set_environment(const struct rf_launch *launch) {
  char *run;
  if (asprintf(&run, "%s:%d", launch->run_dir, launch->child_is_root ? (int)getpid() : 0) < 0) return false;
  bool done = setenv("REFUNC__RUN", run, 1) == 0 && prepend_library(launch->preload);
  free(run);
  if (!launch->extra) return done;
  char *extra = strdup(launch->extra), *equals = extra ? strchr(extra, '=') : NULL;
  if (equals) *equals = 0;
  done = done && equals && setenv(extra, equals + 1, 1) == 0;
  free(extra);
  return done;
}

/* A text file without #! is run by the shell, as execvp and every shell do. */
static void exec_by_shell(const struct rf_launch *launch) {
  size_t count = 0;
  while (launch->argv[count]) count++;
  char **argv = calloc(count + 2, sizeof *argv);
  if (!argv) return;
  argv[0] = "/bin/sh";
  argv[1] = (char *)launch->program;
  memcpy(argv + 2, launch->argv + 1, count * sizeof *argv);
  execv("/bin/sh", argv);
  errno = ENOEXEC;
}

static void become(const struct rf_launch *launch, const sigset_t *mask, const struct sigaction *child_action,
                   int pipe_end) {
  sigaction(SIGCHLD, child_action, NULL);
  sigprocmask(SIG_SETMASK, mask, NULL);
  if (set_environment(launch)) {
    execv(launch->program, launch->argv);
    if (errno == ENOEXEC) exec_by_shell(launch);
  } else {
    errno = ENOMEM;
  }
  int why = errno;
  ssize_t ignored = write(pipe_end, &why, sizeof why);
  (void)ignored;
  _exit(127);
}

/* --- the parent --- */

static sigset_t set_of_forwarded(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++) sigaddset(&set, forwarded[i]);
  return set;
}

/* The terminal sends to the whole foreground group: the child has it already. */
static bool sent_by_terminal(const siginfo_t *info) { return info->si_code == SI_KERNEL; }

/* One more thing about the child: true when it has ended. A child that job control stopped stops the tool as
 * well, so that the shell notices. */
static bool child_ended(pid_t pid, int *status) {
  for (;;) {
    pid_t which = waitpid(pid, status, WNOHANG | WUNTRACED);
    if (which < 0 && errno == EINTR) continue;
    if (which != pid) return which < 0;
    if (!WIFSTOPPED(*status)) return true;
    int how = WSTOPSIG(*status);
    if (how == SIGTSTP || how == SIGTTIN || how == SIGTTOU) raise(SIGSTOP);
  }
}

static void forward(pid_t pid, const siginfo_t *info) {
  bool both = sent_by_terminal(info) && info->si_signo != SIGCONT && info->si_signo != SIGHUP;
  if (!both) kill(pid, info->si_signo);
}

static void wait_for(pid_t pid, const sigset_t *set, int *status) {
  for (siginfo_t info;;) {
    if (child_ended(pid, status)) return;
    if (sigwaitinfo(set, &info) < 0) continue;
    if (info.si_signo != SIGCHLD) forward(pid, &info);
  }
}

bool rf_launch(const struct rf_launch *launch, struct rf_ending *ending) {
  int ends[2];
  sigset_t set = set_of_forwarded(), before;
  struct sigaction standard = {.sa_handler = SIG_DFL}, child_action;
  *ending = (struct rf_ending){0};
  if (pipe2(ends, O_CLOEXEC) < 0) return rf_fail(0, "pipe: %m") != 0;
  sigprocmask(SIG_BLOCK, &set, &before);
  sigaction(SIGCHLD, &standard, &child_action);
  fflush(NULL);
  ending->pid = fork();
  if (ending->pid == 0) become(launch, &before, &child_action, ends[1]);
  close(ends[1]);
  if (ending->pid < 0) {
    close(ends[0]);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rf_fail(0, "fork: %m") != 0;
  }
  ssize_t n;
  while ((n = read(ends[0], &ending->failure, sizeof ending->failure)) < 0 && errno == EINTR) continue;
  if (n != sizeof ending->failure) ending->failure = 0;
  close(ends[0]);
  wait_for(ending->pid, &set, &ending->status);
  return true; /* signals stay blocked: a second Ctrl-C must not cost the report */
}

int rf_exit_status(const struct rf_launch *launch, const struct rf_ending *ending) {
  if (ending->failure) {
    errno = ending->failure;
    return rf_fail(ending->failure == ENOENT ? RF_NOT_FOUND : RF_NOT_EXECUTABLE, "%s: %m", launch->program);
  }
  return WIFSIGNALED(ending->status) ? 128 + WTERMSIG(ending->status) : WEXITSTATUS(ending->status);
}
