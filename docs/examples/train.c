/*
 * All figures of one function in one shot: from outside by its configuration (train.yaml), or inside by a
 * monitor, whose result the program gets.
 *
 *   gcc -O2 -o train train.c
 *   refunc run --config train.yaml -- ./train
 */
#include <refunc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) double train_epoch(double *weights, size_t count) {
  double *gradients = malloc(count * sizeof *gradients), loss = 0;
  memset(gradients, 0, count * sizeof *gradients);
  for (int step = 0; step < 30; step++)
    for (size_t i = 0; i < count; i++) {
      gradients[i] += weights[i] * 0.01;
      weights[i] -= gradients[i] * 0.001;
      loss += weights[i] * weights[i];
    }
  free(gradients);
  return loss;
}

int main(void) {
  /* MonitoringConfig(enable_timing=True, enable_memory=True, enable_system=True, print_results=True) */
  struct refunc_config config = {
      .size = sizeof config, .timing = true, .memory = true, .system = true, .print_results = true};
  struct refunc_monitor monitor;
  struct refunc_result result; /* return_results=True */
  size_t count = 200000;
  double *weights = calloc(count, sizeof *weights);
  for (size_t i = 0; i < count; i++) weights[i] = 1;

  refunc_monitor_begin(&monitor, "epoch", &config);
  double loss = train_epoch(weights, count);
  if (refunc_monitor_end(&monitor, &result) == 0) {
    printf("peak %ld bytes, %lu allocations, CPU %s\n", (long)result.peak_bytes,
           (unsigned long)result.alloc_calls, result.cpu_ratio > 0 ? "known" : "unknown");
    char json[2000]; /* for a log or a database of one's own */
    refunc_result_json(&result, json, sizeof json);
    puts(json);
  }
  printf("loss %.6g\n", loss);
  free(weights);
  return 0;
}
