/* The thread's recovery points, innermost first; see recover.h. */
#include "base/recover.h"

#include <stddef.h>

#include "arch/arch.h"
#include "base/log.h"

static _Thread_local struct rf_recovery *innermost;

void rf_recovery_enter(struct rf_recovery *recovery) {
  recovery->outer = innermost;
  innermost = recovery;
}

void rf_recovered(struct rf_recovery *recovery) { innermost = recovery->outer; }

void rf_assert_fail(const char *assertion, const char *file, unsigned line, const char *function) {
  (void)function;
  rf_log(RF_LOG_ERROR, "%s:%u: a library's own check failed: %s", file, line, assertion);
  struct rf_recovery *recovery = innermost;
  if (recovery) {
    innermost = recovery->outer;
    __builtin_longjmp(recovery->jump, 1);
  }
  for (;;) rf_syscall(SYS_pause);
}
