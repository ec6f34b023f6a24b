/*
 * malloc(0), overflow in calloc, sizes over PTRDIFF_MAX: the same errno and the same results as without Refunc.
 * flags: -O2 -fno-builtin
 * flags: -O2 -fno-builtin -DMODE
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>

#include "case.h"

static void refused(void *block) {
  REQUIRE(!block && errno == ENOMEM);
  errno = 0;
}

int main(void) {
  volatile size_t over = (size_t)PTRDIFF_MAX + 1, most = SIZE_MAX, half = SIZE_MAX / 2 + 2;
  void *none = malloc(0), *other = malloc(0);
  REQUIRE(none && other && none != other && malloc_usable_size(none) >= 1);
  printf("%zu %zu\n", malloc_usable_size(none), malloc_usable_size(NULL));
  free(none), free(other);
  errno = 0;
  refused(malloc(over));
  refused(malloc(most));
  refused(calloc(half, 2));
  refused(calloc(most, most));
  refused(realloc(NULL, over));
  refused(aligned_alloc(64, over));
  refused(memalign(64, most));
  refused(valloc(most));
  refused(pvalloc(most));
  void *empty = calloc(0, 8);
  REQUIRE(empty);
  free(empty);
}
