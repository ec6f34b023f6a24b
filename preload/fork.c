/* fork: the child finds Refunc's heap whole and gets a recording at once. A fork by any other way is met
 * later (recording/threads.h). */
#include <unistd.h>

#include "preload/export.h"
#include "preload/next.h"
#include "session/session.h"

EXPORT pid_t fork(void) {
  struct rf_fork_token token = rf_session_before_fork();
  pid_t child = NEXT(fork)();
  rf_session_after_fork(token, child == 0);
  return child;
}

extern pid_t _Fork(void);
EXPORT pid_t _Fork(void) {
  struct rf_fork_token token = rf_session_before_fork();
  pid_t child = NEXT(_Fork)();
  rf_session_after_fork(token, child == 0);
  return child;
}
