/* Blocks that only mappings of the program's own lead to: private, shared, a file in memory, one that may be
 * read only, one with holes. */
#include <sys/mman.h>

#include "leaks.h"

enum { PAGES = 64, PAGE = 4096 };

ALLOCATES(kept_in_private)
ALLOCATES(kept_in_shared)
ALLOCATES(kept_in_memory_file)
ALLOCATES(kept_in_read_only)
ALLOCATES(kept_in_sparse)
ALLOCATES(lost_with_mapping)

void *place[8];

static void **map(size_t bytes, int flags, int file) {
  return mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
}

NOINLINE static void fill(void **mapping, void *(*allocate)(size_t)) {
  for (int i = 0; i < PAGES; i++) mapping[i * PAGE / 8 + i] = allocate(60);
}

int main(void) {
  const size_t bytes = PAGES * PAGE, sparse = (size_t)4 << 30;
  int file = memfd_create("memory", 0);
  if (ftruncate(file, bytes) != 0) return 1;
  fill(place[0] = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1), kept_in_private);
  fill(place[1] = map(bytes, MAP_SHARED | MAP_ANONYMOUS, -1), kept_in_shared);
  fill(place[2] = map(bytes, MAP_SHARED, file), kept_in_memory_file);
  fill(place[3] = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1), kept_in_read_only);
  mprotect(place[3], bytes, PROT_READ);
  void **holes = place[4] = map(sparse, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  for (size_t i = 0; i < 16; i++) holes[i * (sparse / 16 / 8) + 100] = kept_in_sparse(60);
  void **gone = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  fill(gone, lost_with_mapping);
  munmap(gone, bytes);
  clear_stack();
  lost("lost_with_mapping", PAGES);
  exit(0);
}
