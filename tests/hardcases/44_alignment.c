/*
 * posix_memalign's errors and aligned_alloc's misuse, memalign, valloc, pvalloc: glibc's manners.
 * flags: -O2 -fno-builtin -D_GNU_SOURCE
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <unistd.h>

#include "case.h"

int main(void) {
  void *block = (void *)&errno;
  REQUIRE(posix_memalign(&block, 0, 10) == EINVAL && posix_memalign(&block, 3, 10) == EINVAL && posix_memalign(&block, 4, 10) == EINVAL);
  volatile size_t huge = SIZE_MAX / 2;
  REQUIRE(posix_memalign(&block, 64, huge) == ENOMEM);
  REQUIRE(block == (void *)&errno);
  for (size_t align = 8; align <= 65536; align *= 2) {
    REQUIRE(posix_memalign(&block, align, 100) == 0 && (uintptr_t)block % align == 0);
    free(block);
    block = memalign(align, 100);
    REQUIRE(block && (uintptr_t)block % align == 0);
    free(block);
  }
  block = aligned_alloc(24, 100); /* no power of two: glibc rounds up */
  printf("%d\n", block != NULL);
  free(block);
  block = memalign(3, 50);
  printf("%d\n", block != NULL);
  free(block);
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  block = valloc(10);
  REQUIRE(block && (uintptr_t)block % page == 0);
  free(block);
  block = pvalloc(10);
  REQUIRE(block && (uintptr_t)block % page == 0 && malloc_usable_size(block) >= page);
  free(block);
}
