/*
 * Credentials and system call filters: the sampler's thread, which libc does not know, must not keep
 * credentials that the app gives up, nor run into a filter that kills.
 */
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/export.h"
#include "preload/next.h"
#include "session/session.h"

#define CREDENTIALS(call)                                                                                    \
  rf_session_before_credentials();                                                                           \
  return (call)

EXPORT int setuid(uid_t id) { CREDENTIALS(NEXT(setuid)(id)); }
EXPORT int setgid(gid_t id) { CREDENTIALS(NEXT(setgid)(id)); }
EXPORT int seteuid(uid_t id) { CREDENTIALS(NEXT(seteuid)(id)); }
EXPORT int setegid(gid_t id) { CREDENTIALS(NEXT(setegid)(id)); }
EXPORT int setreuid(uid_t real, uid_t effective) { CREDENTIALS(NEXT(setreuid)(real, effective)); }
EXPORT int setregid(gid_t real, gid_t effective) { CREDENTIALS(NEXT(setregid)(real, effective)); }
EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved) {
  CREDENTIALS(NEXT(setresuid)(real, effective, saved));
}
EXPORT int setresgid(gid_t real, gid_t effective, gid_t saved) {
  CREDENTIALS(NEXT(setresgid)(real, effective, saved));
}

static bool is_filter(long option, long mode) {
  return option == PR_SET_SECCOMP && (mode == SECCOMP_MODE_STRICT || mode == SECCOMP_MODE_FILTER);
}

EXPORT int prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  unsigned long a = va_arg(list, unsigned long), b = va_arg(list, unsigned long),
                c = va_arg(list, unsigned long), d = va_arg(list, unsigned long);
  va_end(list);
  if (is_filter(option, (long)a)) rf_session_before_seccomp();
  return ((int (*)(int, unsigned long, unsigned long, unsigned long, unsigned long))(void *)NEXT(prctl))(
      option, a, b, c, d);
}

EXPORT long syscall(long number, ...) {
  va_list list;
  long a[6];
  va_start(list, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_seccomp || (number == SYS_prctl && is_filter(a[0], a[1]))) rf_session_before_seccomp();
  return ((long (*)(long, long, long, long, long, long, long))(void *)NEXT(syscall))(number, a[0], a[1], a[2],
                                                                                     a[3], a[4], a[5]);
}
