/*
 * exec: the recording is settled for the next image, which keeps the pid. All forms end in one place here, since libc's own
 * forms call each other by names that a preload does not see.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "preload/export.h"
#include "preload/next.h"
#include "session/session.h"

#define MOST_ARGUMENTS 4096

/* Runs one exec form; only a failed one comes back. */
#define EXEC(call)                                                                                                     \
  ({                                                                                                                   \
    rf_session_before_exec();                                                                                          \
    int exec_result = (call);                                                                                          \
    int exec_error = errno;                                                                                            \
    rf_session_exec_failed();                                                                                          \
    errno = exec_error;                                                                                                \
    exec_result;                                                                                                       \
  })

EXPORT int execve(const char *path, char *const argv[], char *const envp[]) { return EXEC(NEXT(execve)(path, argv, envp)); }
EXPORT int execv(const char *path, char *const argv[]) { return EXEC(NEXT(execv)(path, argv)); }
EXPORT int execvp(const char *file, char *const argv[]) { return EXEC(NEXT(execvp)(file, argv)); }
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[]) { return EXEC(NEXT(execvpe)(file, argv, envp)); }
EXPORT int fexecve(int fd, char *const argv[], char *const envp[]) { return EXEC(NEXT(fexecve)(fd, argv, envp)); }
EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags) {
  return EXEC(NEXT(execveat)(fd, path, argv, envp, flags));
}

/* Collects the arguments of execl, execlp, execle; the environment follows the NULL. On the stack: a vfork child may be calling. */
#define COLLECT(first)                                                                                                 \
  char *argv[MOST_ARGUMENTS];                                                                                          \
  va_list list;                                                                                                        \
  va_start(list, first);                                                                                               \
  size_t count = 0;                                                                                                    \
  argv[count++] = (char *)first;                                                                                       \
  while (argv[count - 1] && count < MOST_ARGUMENTS) argv[count++] = va_arg(list, char *);                              \
  if (argv[count - 1]) {                                                                                               \
    va_end(list);                                                                                                      \
    errno = E2BIG;                                                                                                     \
    return -1;                                                                                                         \
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
