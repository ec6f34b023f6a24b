/*
 * get_timing_stats while the app runs: its own functions, timed from outside, and a block.
 *
 *   gcc -O2 -o statistics statistics.c
 *   refunc run --trace preprocess_batch -- ./statistics
 *   ./statistics                                     without Refunc: it has nothing to say, and costs nothing
 */
#include <refunc.h>
#include <stdio.h>
#include <time.h>

__attribute__((noinline)) void preprocess_batch(int ms) {
  struct timespec wait = {0, ms * 1000000l};
  nanosleep(&wait, NULL);
}

static void show(const char *name) {
  struct refunc_timing_stats stats;
  if (refunc_get_timing_stats(name, &stats) != 0) {
    printf("%s: nothing is known\n", name);
    return;
  }
  printf("%s: %lu calls\n", name, (unsigned long)stats.count);
  printf("Mean time: %.4fs\n", stats.mean_s);
  printf("95th percentile: %.4fs\n", stats.p95_s);
}

/* All of them, a line each. */
static void one_line(const char *name, const struct refunc_timing_stats *stats, void *file) {
  char line[300];
  refunc_timing_summary(name, stats, line, sizeof line);
  fprintf(file, "%s\n", line);
}

int main(void) {
  for (int i = 0; i < 40; i++) preprocess_batch(i % 10 == 9 ? 8 : 1);
  show("preprocess_batch");
  refunc_clear_timing_stats("preprocess_batch");
  preprocess_batch(3);
  show("preprocess_batch");
  for (int i = 0; i < 5; i++) REFUNC_TIMER("load") preprocess_batch(2);
  show("load");
  refunc_visit_timing_stats(one_line, stdout);
  return 0;
}
