/*
 * Threads that fork and vfork all at once while another calls timed functions, with everything timed, the inside of libc's fork too:
 * there a child meets Refunc before fork has returned.
 * flags: -O2 -pthread
 * trace: *
 * option: timing.budget=off
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) {
  char *block = malloc((size_t)x + 10);
  memset(block, 1, (size_t)x + 10);
  int result = block[0] + x;
  free(block);
  return result;
}

static void child(int number) {
  if (number % 4 == 3) {
    work(1);
    if (number % 8 == 7) execl("/bin/true", "true", (char *)NULL);
    _exit(7);
  }
  for (int i = 0; i < 100; i++)
    if (work(i) != i + 1) _exit(9);
  exit(7);
}

static void *forks(void *unused) {
  for (int i = 0; i < 24; i++) {
    int status, expected = i % 8 == 7 ? 0 : 7;
    pid_t pid = i % 4 == 3 ? vfork() : fork();
    if (!pid) child(i);
    REQUIRE(pid > 0 && waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == expected);
  }
  return unused;
}

static void *works(void *unused) {
  for (;; pthread_testcancel()) work(5);
  return unused;
}

int main(void) {
  pthread_t forking[3], working;
  pthread_create(&working, NULL, works, NULL);
  for (int i = 0; i < 3; i++) pthread_create(&forking[i], NULL, forks, NULL);
  for (int i = 0; i < 3; i++) pthread_join(forking[i], NULL);
  pthread_cancel(working);
  pthread_join(working, NULL);
}
