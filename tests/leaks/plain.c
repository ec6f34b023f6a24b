/* Blocks of many sizes whose only pointer goes out of scope; as many are freed. */
#include "leaks.h"

ALLOCATES(lost_small)
ALLOCATES(lost_large)
ALLOCATES(freed)

NOINLINE static void *lost_calloc(size_t count) { return calloc(count, 24); }
NOINLINE static char *lost_copy(const char *text) { return strdup(text); }

NOINLINE static void lose(void) {
  for (size_t i = 1; i <= 100; i++) {
    *(volatile char *)lost_small(i * 7) = 1;
    free(freed(i * 7));
  }
  for (size_t i = 1; i <= 3; i++) *(volatile char *)lost_large(i * 300000) = 1;
  for (size_t i = 1; i <= 10; i++) *(volatile char *)lost_calloc(i) = 1;
  for (size_t i = 1; i <= 10; i++) *(volatile char *)lost_copy("a text that nobody needs") = 'A';
}

int main(void) {
  lose();
  clear_stack();
  lost("lost_small", 100), lost("lost_large", 3), lost("lost_calloc", 10), lost("lost_copy", 10);
}
