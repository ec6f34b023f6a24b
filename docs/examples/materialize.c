/*
 * Peaks of memory and who allocated them.
 *
 *   gcc -O1 -g -o materialize materialize.c
 *   refunc run --config materialize.yaml -- ./materialize
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((noinline)) char *read_columns(size_t rows) {
  char *columns = malloc(rows * 64);
  memset(columns, 1, rows * 64);
  return columns;
}

__attribute__((noinline)) double *one_hot(size_t rows) {
  double *wide = calloc(rows, 8 * sizeof *wide);
  for (size_t i = 0; i < rows; i++) wide[i * 8 + i % 8] = 1;
  return wide;
}

/* 64 + 64 bytes a row are live at its peak; 64 of them when it returns. */
__attribute__((noinline)) double *materialize_features(size_t rows) {
  char *columns = read_columns(rows);
  double *features = one_hot(rows);
  features[0] += columns[0];
  free(columns);
  return features;
}

int main(void) {
  double *features = materialize_features(100000);
  printf("%g\n", features[0]);
  free(features);
  return 0;
}
