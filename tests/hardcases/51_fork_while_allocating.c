/*
 * fork while other threads are inside malloc; the children allocate, free and call traced functions. vfork and posix_spawn too.
 * flags: -O2 -pthread
 * trace: called
 * option: refunc.preset=full
 * expect: r.calls("called") == 100 * 50
 */
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

static volatile int stop;
TRACED int called(int x) { LONG; return x + 1; }
static void *churn(void *unused) {
  while (!stop) free(malloc(100)), free(calloc(1000, 3));
  return unused;
}
static void finish(pid_t pid, int code) {
  int status;
  REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == code);
}
static void in_child(void) {
  for (int i = 0; i < 50; i++) {
    void *block = malloc(1000);
    REQUIRE(called(i) == i + 1);
    free(block);
  }
  exit(3);
}

int main(void) {
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) pthread_create(&threads[i], 0, churn, 0);
  for (int i = 0; i < 100; i++) {
    pid_t pid = fork();
    if (pid == 0) in_child();
    finish(pid, 3);
    if (i % 10 == 0) {
      pid = vfork();
      if (pid == 0) execl("/bin/true", "true", (char *)0), _exit(9);
      finish(pid, 0);
      char *argv[] = {"false", 0};
      extern char **environ;
      REQUIRE(!posix_spawn(&pid, "/bin/false", 0, 0, argv, environ));
      finish(pid, 1);
    }
  }
  stop = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
}
