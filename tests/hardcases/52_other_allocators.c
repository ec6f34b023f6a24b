/*
 * A program linked with jemalloc: its own allocator goes on serving it, and reads its own MALLOC_CONF.
 * flags: -O2 -fno-builtin -ljemalloc
 * option: heap.mode=exact
 * expect: r["heap"]["alloc_calls"] >= 1000 and r["heap"]["alloc_bytes"] >= 1000000
 */
#include <jemalloc/jemalloc.h>
#include <stdint.h>

#include "case.h"

static uint64_t allocated(void) {
  uint64_t bytes = 0;
  size_t size = sizeof bytes;
  REQUIRE(!mallctl("thread.allocated", &bytes, &size, 0, 0));
  return bytes;
}

int main(void) {
  uint64_t before = allocated();
  for (int i = 0; i < 1000; i++) {
    void *block = malloc(1000);
    block = realloc(block, 1001);
    free(block);
  }
  REQUIRE(allocated() - before >= 1000000);
  printf("%zu\n", malloc_usable_size(malloc(1000)));
}
