/*
 * A program that knows nothing of Refunc: its functions are timed from outside.
 *
 *   gcc -O2 -o preprocess preprocess.c
 *   refunc run --config preprocess.yaml -- ./preprocess 40
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct batch {
  double value[4096];
};

__attribute__((noinline)) void normalize(struct batch *batch) {
  for (int i = 0; i < 4096; i++) batch->value[i] = batch->value[i] * 0.5 + 1;
}

/* Waits for its data, as preprocessing does: wall clock and CPU time differ. */
__attribute__((noinline)) void preprocess_batch(struct batch *batch) {
  struct timespec wait = {0, 2000000};
  nanosleep(&wait, NULL);
  for (int i = 0; i < 20; i++) normalize(batch);
}

int main(int argc, char **argv) {
  int batches = argc > 1 ? atoi(argv[1]) : 100;
  struct batch *batch = calloc(1, sizeof *batch);
  for (int i = 0; i < batches; i++) preprocess_batch(batch);
  printf("%d batches, %g\n", batches, batch->value[7]);
  free(batch);
  return 0;
}
