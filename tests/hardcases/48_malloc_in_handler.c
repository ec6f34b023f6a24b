/*
 * A timer whose handler calls traced functions while the program is inside traced functions and inside Refunc's heap hooks.
 * flags: -O2 -fno-builtin
 * trace: work, tick
 * option: heap.mode=exact
 * calls: work >= 300000
 * expect: r.function("tick")["calls"] > 20 and r.function("tick")["open"] == 0
 */
#include <signal.h>
#include <sys/time.h>

#include "case.h"

static volatile long ticks;
TRACED void tick(int signal) { ticks++; }
TRACED long work(long i) {
  void *block = malloc(64 + (size_t)i % 64);
  *(volatile char *)block = 1;
  free(block);
  return i + 1;
}

int main(void) {
  struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, 0);
  struct itimerval often = {{0, 500}, {0, 500}};
  setitimer(ITIMER_REAL, &often, 0);
  for (long i = 0; i < 300000; i++) REQUIRE(work(i) == i + 1);
  while (ticks < 30) work(0);
  often = (struct itimerval){{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &often, 0);
}
