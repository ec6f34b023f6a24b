/*
 * A program that uses a GPU in one of its two steps. From outside, accelerated.yaml tells how much; from
 * inside, the result of a monitor does.
 *
 *   gcc -O2 -I../../include accelerated.c -o accelerated
 *   refunc run --config accelerated.yaml -- ./accelerated
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "refunc.h"

#define APART __attribute__((noinline))

/* Stands for what a driver would be told: how busy the device is. */
static void device(unsigned char percent) {
  const char *path = getenv("DRIVEN_NVML");
  FILE *file = path ? fopen(path, "r+b") : NULL;
  if (!file) return;
  fputc(percent, file);
  fclose(file);
}

static void wait_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

APART void load_batch(void) {
  device(0);
  wait_ms(400);
}

APART void train_batch(void) {
  device(80);
  wait_ms(800);
  device(0);
}

int main(void) {
  struct refunc_config config = REFUNC_CONFIG_DEFAULT;
  struct refunc_monitor monitor;
  struct refunc_result result;
  char summary[300];
  for (int i = 0; i < 2; i++) {
    load_batch();
    bool monitored = refunc_monitor_begin(&monitor, "batch", &config) == 0;
    train_batch();
    if (!monitored || refunc_monitor_end(&monitor, &result) != 0) continue;
    refunc_result_summary(&result, summary, sizeof summary);
    puts(summary);
    if (!isnan(result.gpu_ratio)) printf("GPU %.2f\n", result.gpu_ratio);
  }
}
