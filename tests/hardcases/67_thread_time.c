/*
 * timing.mode=thread_time tells work from waiting: what a call burnt agrees with the kernel's own figure, what it slept is not in it; on
 * several threads, while others compete for the core, across moves from core to core, and in a forked child. No duration runs backwards.
 * flags: -O2 -pthread
 * trace: burn, nap, moved, brief
 * option: timing.mode=thread_time
 * option: timing.budget=off
 * calls: burn 16
 * calls: nap 8
 * calls: moved 8
 * calls: brief 800000
 * expect: all(f["mode"] == "thread_time" for f in r.functions)
 * expect: 0.24 <= r.function("burn")["total_s"] <= 0.24 * 1.5
 * expect: r.function("burn")["min_s"] >= 0.0099
 * expect: r.function("nap")["total_s"] < 8 * 0.01
 * expect: 0.16 <= r.function("moved")["total_s"] <= 0.16 * 1.5
 * expect: 0 <= r.function("brief")["min_s"] and r.function("brief")["max_s"] < 0.5
 * expect: all(f["self_s"] >= 0 for f in r.functions)
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "case.h"

static double cpu(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Until the kernel says that this thread has had so much more CPU time. */
TRACED int burn(double seconds) {
  for (double end = cpu() + seconds; cpu() < end;) LONG;
  return 1;
}

TRACED int nap(int milliseconds) {
  for (int i = 0; i < milliseconds; i++) usleep(1000);
  return 1;
}

/* From core to core all the time. */
TRACED int moved(double seconds) {
  cpu_set_t all, one;
  sched_getaffinity(0, sizeof all, &all);
  double end = cpu() + seconds;
  for (int core = 0; cpu() < end; core = (core + 1) % CPU_SETSIZE) {
    if (!CPU_ISSET(core, &all)) continue;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  sched_setaffinity(0, sizeof all, &all);
  return 1;
}

TRACED int brief(int x) { LONG; return x + 1; }

static void *run(void *x) {
  REQUIRE(burn(0.01));
  REQUIRE(nap(50));
  REQUIRE(burn(0.02));
  REQUIRE(moved(0.02));
  for (int i = 0; i < 100000; i++) REQUIRE(brief(i) == i + 1);
  return x;
}

static void run_threads(void) {
  pthread_t threads[3];
  run(0);
  for (int i = 0; i < 3; i++) REQUIRE(!pthread_create(&threads[i], 0, run, 0));
  for (int i = 0; i < 3; i++) pthread_join(threads[i], 0);
}

int main(void) {
  run_threads();
  pid_t child = fork();
  if (child == 0) {
    run_threads();
    _exit(0);
  }
  int status;
  waitpid(child, &status, 0);
  REQUIRE(status == 0);
}
