/*
 * TimingProfiler: statistics that start, stop and reset when the program says.
 *
 *   gcc -O2 -o profiler profiler.c
 *   refunc run -- ./profiler
 */
#include <refunc.h>
#include <stdio.h>
#include <time.h>

static void work(int ms) {
  struct timespec time = {0, ms * 1000000l};
  nanosleep(&time, NULL);
}

int main(void) {
  struct refunc_profiler profiler = REFUNC_PROFILER("epoch");
  struct refunc_timing_stats stats;
  for (int i = 0; i < 12; i++) {
    if (i == 2) refunc_profiler_reset(&profiler); /* the first two only warmed up */
    refunc_profiler_start(&profiler);
    work(i < 2 ? 20 : 3);
    refunc_profiler_stop(&profiler);
  }
  if (refunc_profiler_report(&profiler, &stats) == 0)
    printf("%lu epochs, mean %.3f s, slowest %.3f s\n", (unsigned long)stats.count, stats.mean_s,
           stats.max_s);
  refunc_profiler_free(&profiler);
  return 0;
}
