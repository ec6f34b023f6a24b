/*
 * exec: the recording is settled for the next image, which keeps the pid. All forms end in one place here,
 * since libc's own forms call each other by names that a preload does not see.
 */
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/environment.h"
#include "preload/export.h"
#include "preload/next.h"
#include "session/session.h"

#define MOST_ARGUMENTS 4096

/* Runs one exec form; only a failed one comes back. */
#define EXEC(call)                                                                                           \
  ({                                                                                                         \
    rf_session_before_exec();                                                                                \
    int exec_result = (call);                                                                                \
    int exec_error = errno;                                                                                  \
    rf_session_exec_failed();                                                                                \
    errno = exec_error;                                                                                      \
    exec_result;                                                                                             \
  })

EXPORT int execve(const char *path, char *const argv[], char *const envp[]) {
  return EXEC(NEXT(execve)(path, argv, RF_CHILD_ENVIRONMENT(envp)));
}
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) {
  return EXEC(NEXT(execvpe)(file, argv, RF_CHILD_ENVIRONMENT(envp)));
}
EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) {
  return EXEC(NEXT(fexecve)(fd, argv, RF_CHILD_ENVIRONMENT(envp)));
}
EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags) {
  return EXEC(NEXT(execveat)(fd, path, argv, RF_CHILD_ENVIRONMENT(envp), flags));
}
EXPORT int execv(const char *path, char *const argv[]) { return execve(path, argv, environ); }
EXPORT int execvp(const char *file, char *const argv[]) { return execvpe(file, argv, environ); }

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
  return NEXT(posix_spawn)(pid, path, actions, attributes, argv, RF_CHILD_ENVIRONMENT(envp));
}
EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) {
  return NEXT(posix_spawnp)(pid, file, actions, attributes, argv, RF_CHILD_ENVIRONMENT(envp));
}

/* Collects the arguments of execl, execlp, execle; the environment follows the NULL. On the stack: a vfork
 * child may be calling. */
#define COLLECT(first)                                                                                       \
  char *argv[MOST_ARGUMENTS];                                                                                \
  va_list list;                                                                                              \
  va_start(list, first);                                                                                     \
  size_t count = 0;                                                                                          \
  argv[count++] = (char *)first;                                                                             \
  while (argv[count - 1] && count < MOST_ARGUMENTS) argv[count++] = va_arg(list, char *);                    \
  if (argv[count - 1]) {                                                                                     \
    va_end(list);                                                                                            \
    errno = E2BIG;                                                                                           \
    return -1;                                                                                               \
  }

EXPORT int execl(const char *path, const char *first, ...) {
  COLLECT(first)
  va_end(list);
  return execv(path, argv);
}

EXPORT int execlp(const char *file, const char *first, ...) {
  COLLECT(first)
  va_end(list);
  return execvp(file, argv);
}

EXPORT int execle(const char *path, const char *first, ...) {
  COLLECT(first)
  char *const *envp = va_arg(list, char *const *);
  va_end(list);
  return execve(path, argv, envp);
}
