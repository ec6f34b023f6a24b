/*
 * Blocks where a function is too much or too little: timer("...") and monitor_performance("...").
 *
 *   gcc -O2 -o pipeline pipeline.c
 *   refunc run -- ./pipeline
 */
#include <refunc.h>
#include <stdio.h>
#include <stdlib.h>

static double transform(double *data, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    REFUNC_TIMER("row") { /* 100,000 times: some 25 ns each, two clock reads included */
      data[i] = data[i] * 2 + 1;
      sum += data[i];
    }
  }
  return sum;
}

int main(void) {
  struct refunc_config config = {
      .size = sizeof config, .timing = true, .memory = true}; /* enable_system=False */
  struct refunc_monitor monitor;
  struct refunc_result result;
  char summary[256];

  refunc_monitor_begin(&monitor, "vectorized_pipeline", &config);
  double *data = calloc(100000, sizeof *data), sum = transform(data, 100000);
  int monitored = refunc_monitor_end(&monitor, &result);

  printf("%g\n", sum);
  if (monitored == 0) {
    refunc_result_summary(&result, summary, sizeof summary);
    puts(summary);
  }
  free(data);
  return 0;
}
