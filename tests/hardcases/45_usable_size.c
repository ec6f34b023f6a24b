/*
 * malloc_usable_size is the allocator's for every size, and all of it can be used.
 * flags: -O2 -fno-builtin
 * option: heap.mode=exact
 */
#include <malloc.h>
#include <string.h>

#include "case.h"

static void use(char *block, size_t size, size_t slack) {
  size_t usable = malloc_usable_size(block);
  REQUIRE(usable >= size && usable <= size + slack);
  memset(block, 1, usable);
  free(block);
}

int main(void) {
  for (size_t size = 0; size < 5000; size++) use(malloc(size), size, 40); /* a header's 8, rounding to 16, a rest of 16 */
  for (size_t size = 200000; size < 10000000; size += 333333) use(calloc(1, size), size, 4096 + 16);
}
