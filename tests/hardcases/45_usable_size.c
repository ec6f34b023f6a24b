/*
 * malloc_usable_size is unchanged for every size, and all of it can be used.
 * flags: -O2 -fno-builtin
 */
#include <malloc.h>
#include <string.h>

#include "case.h"

int main(void) {
  unsigned long sum = 0;
  for (size_t size = 0; size < 5000; size++) {
    char *block = malloc(size);
    size_t usable = malloc_usable_size(block);
    memset(block, 1, usable);
    sum = sum * 31 + usable;
    free(block);
  }
  for (size_t size = 100000; size < 10000000; size += 333333) {
    char *block = calloc(1, size);
    sum = sum * 31 + malloc_usable_size(block);
    free(block);
  }
  printf("%lx\n", sum);
}
