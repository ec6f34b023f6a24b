/*
 * The program empties its environment, and execs and spawns with environments of its own making: children are recorded all the same.
 * flags: -O2
 * trace: work
 * calls: work 400
 * expect: len([p for p in r.processes if len(p["argv"]) > 1]) == 3
 */
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) { LONG; return x + 1; }
static void finish(pid_t pid) {
  int status;
  REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 6);
}

int main(int argc, char **argv) {
  for (int i = 0; i < 100; i++) REQUIRE(work(i) == i + 1);
  if (argc > 1) return 6;
  char *arguments[] = {argv[0], "child", 0}, *own[] = {"ONLY=this", 0}, *none[] = {0};
  pid_t pid = fork();
  if (pid == 0) execve("/proc/self/exe", arguments, own), _exit(1);
  finish(pid);
  clearenv();
  pid = fork();
  if (pid == 0) execv("/proc/self/exe", arguments), _exit(1);
  finish(pid);
  REQUIRE(!posix_spawn(&pid, "/proc/self/exe", 0, 0, arguments, none));
  finish(pid);
}
