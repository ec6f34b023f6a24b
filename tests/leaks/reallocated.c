/* Vectors that grow: lost after they have moved; a large one, which the kernel moves; one kept by where it
 * has moved to. */
#include "leaks.h"

NOINLINE static void *lost_vector(void *from, size_t bytes) { return realloc(from, bytes); }
NOINLINE static void *lost_large_vector(void *from, size_t bytes) { return realloc(from, bytes); }
NOINLINE static void *kept_vector(void *from, size_t bytes) { return realloc(from, bytes); }
ALLOCATES(kept_element)

void **kept;

NOINLINE static void lose(void) {
  for (int i = 0; i < 15; i++) {
    void *vector = NULL;
    for (size_t bytes = 16; bytes < 5000; bytes *= 2) vector = lost_vector(vector, bytes);
    *(volatile char *)vector = 1;
  }
  for (int i = 0; i < 3; i++) {
    void *vector = NULL;
    for (size_t bytes = 1000; bytes < 3000000; bytes *= 2) vector = lost_large_vector(vector, bytes);
    *(volatile char *)vector = 1;
  }
}

NOINLINE static void keep(void) {
  for (size_t i = 0; i < 50000; i++) {
    if ((i & (i - 1)) == 0) kept = kept_vector(kept, (i ? 2 * i : 1) * sizeof *kept);
    kept[i] = i % 100 ? NULL : kept_element(40);
  }
}

int main(void) {
  lose(), keep();
  clear_stack();
  lost("lost_vector", 15), lost("lost_large_vector", 3);
  exit(0);
}
