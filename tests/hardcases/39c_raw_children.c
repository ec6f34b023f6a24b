/*
 * Children by _Fork, a raw clone and syscall(SYS_fork): each counts its own calls, and the parent's are not counted twice.
 * trace: work
 * expect: r.calls("work") == 10 + 4 * 100 + 10
 * expect: len(r.processes) == 5
 */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) { LONG; return x + 1; }
static void repeat(int count) {
  for (int i = 0; i < count; i++) REQUIRE(work(i) == i + 1);
}
pid_t _Fork(void);

int main(void) {
  repeat(10);
  for (int how = 0; how < 4; how++) {
    pid_t pid = how == 0 ? _Fork() : how == 1 ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : how == 2 ? (pid_t)syscall(SYS_fork) : fork();
    if (pid == 0) {
      repeat(100);
      _exit(how);
    }
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == how);
  }
  repeat(10);
}
