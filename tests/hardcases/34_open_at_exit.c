/*
 * Calls that are still running when the process ends, on the main thread (exit deep inside) and on others, and a noreturn function.
 * flags: -O2 -pthread
 * option: timing.budget=off
 * status: 5
 * trace: never_returns, outer, runs_on, returned
 * calls: outer <= 1
 * calls: never_returns 1
 * calls: runs_on 3
 * calls: returned 10
 * expect: r.function("never_returns")["open"] == 1
 * expect: r.function("runs_on")["open"] == 3 and r.function("returned")["open"] == 0
 */
#include <pthread.h>
#include <unistd.h>

#include "case.h"

static pthread_barrier_t barrier;
TRACED int returned(int x) { LONG; return x + 1; }
TRACED void *runs_on(void *unused) {
  pthread_barrier_wait(&barrier);
  for (;;) pause();
  return unused;
}
TRACED __attribute__((noreturn)) void never_returns(int code) {
  for (int i = 0; i < 10; i++) code = returned(code);
  exit(code - 10);
}
TRACED void outer(int code) {
  never_returns(code);
}

int main(void) {
  pthread_t thread;
  pthread_barrier_init(&barrier, 0, 4);
  for (int i = 0; i < 3; i++) pthread_create(&thread, 0, runs_on, 0);
  pthread_barrier_wait(&barrier);
  usleep(20000);
  outer(5);
}
