/*
 * Leaf functions that keep data below the stack pointer, and alloca.
 * flags: -O2
 * flags: -O1
 * trace: leaf_with_data, moves_stack
 * calls: leaf_with_data 200
 * calls: moves_stack 100
 */
#include <alloca.h>
#include <string.h>

#include "case.h"

TRACED long leaf_with_data(long n) {
  volatile long data[12];
  for (int i = 0; i < 12; i++) data[i] = n + i;
  long sum = 0;
  for (int i = 0; i < 12; i++) sum += data[i];
  return sum;
}
TRACED long moves_stack(long n) {
  char *space = alloca((size_t)n * 16 + 1);
  memset(space, 1, (size_t)n * 16 + 1);
  long sum = leaf_with_data(n);
  for (long i = 0; i < n * 16; i++) sum += space[i];
  return sum;
}

int main(void) {
  for (long i = 0; i < 100; i++) {
    REQUIRE(leaf_with_data(i) == 12 * i + 66);
    REQUIRE(moves_stack(i) == 28 * i + 66);
  }
}
