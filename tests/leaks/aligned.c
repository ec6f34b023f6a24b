/* Aligned blocks, blocks with mappings of their own, and pointers with a tag in their low bits or right
 * behind the block. */
#include <malloc.h>

#include "leaks.h"

NOINLINE static void *kept_aligned(size_t alignment, size_t bytes) {
  void *block = NULL;
  if (posix_memalign(&block, alignment, bytes)) return NULL;
  return memset(block, 0, malloc_usable_size(block)); /* it may hold addresses from before */
}
NOINLINE static void *lost_aligned(size_t alignment, size_t bytes) { return aligned_alloc(alignment, bytes); }
ALLOCATES(kept_large)
ALLOCATES(kept_tagged)
ALLOCATES(kept_by_end)
ALLOCATES(lost_large)

void *aligned[13], *large[5], *end[5];
uintptr_t tagged[10];

NOINLINE static void lose(void) {
  for (size_t alignment = 16; alignment <= 65536; alignment *= 2)
    *(volatile char *)lost_aligned(alignment, alignment * 3) = 1;
  for (size_t i = 1; i <= 5; i++) *(volatile char *)lost_large(i << 20) = 1;
}

NOINLINE static void keep(void) {
  for (size_t i = 0; i < 13; i++) aligned[i] = (char *)kept_aligned((size_t)16 << i, 5000) + 4000;
  for (size_t i = 0; i < 5; i++) large[i] = (char *)kept_large((i + 1) << 20) + ((i + 1) << 19);
  for (size_t i = 0; i < 10; i++) tagged[i] = (uintptr_t)kept_tagged(40) | (i % 7 + 1);
  for (size_t i = 0; i < 5; i++) end[i] = (char *)kept_by_end(56 + 16 * i) + 56 + 16 * i;
}

int main(void) {
  lose(), keep();
  clear_stack();
  lost("lost_aligned", 13), lost("lost_large", 5);
  exit(0);
}
