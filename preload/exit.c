/*
 * Ends that bypass exit's handlers. exit itself is met by a handler that was registered before all others and
 * therefore runs last (session.c).
 */
#include <stdlib.h>
#include <unistd.h>

#include "arch/arch.h"
#include "preload/export.h"
#include "preload/next.h"
#include "session/session.h"

static _Noreturn void end(int status) {
  rf_session_finish(status);
  for (;;) rf_syscall(SYS_exit_group, status);
}

EXPORT void _exit(int status) { end(status); }
EXPORT void _Exit(int status) { end(status); }

/* Its handlers run first; the last of them is the session's. */
EXPORT void quick_exit(int status) {
  void (*next)(int) = NEXT(quick_exit);
  rf_session_expect_status(status);
  next(status);
  __builtin_unreachable();
}
