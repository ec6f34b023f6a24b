/*
 * Allocation before anything is set up: in a constructor of the program, by dlerror and dlsym, in a static library's start.
 * flags: -O2
 * option: heap.mode=exact
 * expect: r["heap"]["alloc_calls"] >= 103
 */
#include <dlfcn.h>
#include <string.h>

#include "case.h"

static void *early[100];
__attribute__((constructor(101))) static void begin(void) {
  for (int i = 0; i < 100; i++) early[i] = calloc(1, (size_t)i + 1);
  REQUIRE(!dlsym(RTLD_DEFAULT, "no_such_symbol_anywhere"));
  REQUIRE(dlerror());
}

int main(void) {
  for (int i = 0; i < 100; i++) {
    REQUIRE(early[i] && *(char *)early[i] == 0);
    free(early[i]);
  }
  char *copy = strdup("text");
  REQUIRE(!strcmp(copy, "text"));
  free(copy);
}
