/*
 * has_regressed, asked by the program about itself. The workflow across runs is regression.sh.
 *
 *   gcc -O2 -o regression regression.c
 *   refunc run --trace benchmark_step -- ./regression 0.002
 */
#include <refunc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

__attribute__((noinline)) void benchmark_step(int us) {
  struct timespec time = {0, us * 1000l};
  nanosleep(&time, NULL);
}

int main(int argc, char **argv) {
  double baseline_s = argc > 1 ? atof(argv[1]) : 0.002;
  int us = argc > 2 ? atoi(argv[2]) : 2000;
  for (int i = 0; i < 20; i++) benchmark_step(us);
  bool worse = refunc_has_regressed("benchmark_step", baseline_s, 0.25);
  puts(worse ? "regressed" : "as before");
  return worse;
}
