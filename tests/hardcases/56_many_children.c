/*
 * A thousand children, fork without exec, and an exec chain that keeps its pid.
 * flags: -O2
 * trace: work
 * calls: work 10015
 * expect: len(r.processes) == 1001 and not [p for p in r.processes if p["exit"]["kind"] != "exited"]
 * timeout: 180
 */
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) { LONG; return x + 1; }

int main(int argc, char **argv) {
  int left = argc > 1 ? atoi(argv[1]) : 5;
  if (argc == 1)
    for (int i = 0; i < 1000; i++) {
      pid_t pid = fork();
      if (pid == 0) {
        for (int k = 0; k < 10; k++) REQUIRE(work(k) == k + 1);
        _exit(i & 127);
      }
      int status;
      REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == (i & 127));
    }
  for (int i = 0; i < left; i++) work(i);
  char next[4];
  snprintf(next, sizeof next, "%d", left - 1);
  if (left) execl("/proc/self/exe", argv[0], next, (char *)0);
}
