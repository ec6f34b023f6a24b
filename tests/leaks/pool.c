/* Pools: large blocks with a header, objects cut out of them. A pool is kept by its own list, or by an object
 * alone that somebody holds; one pool nobody has any more. */
#include "leaks.h"

struct chunk {
  struct chunk *next;
  size_t used;
  char room[8192 - 2 * sizeof(void *)];
};
struct pool {
  struct chunk *first;
};

ALLOCATES(kept_chunk)
ALLOCATES(kept_single_chunk)
ALLOCATES(lost_chunk)

struct pool pool;
void *object; /* inside a chunk that nothing else leads to */

NOINLINE static void *cut(struct pool *from, size_t bytes, void *(*more)(size_t)) {
  if (!from->first || from->first->used + bytes > sizeof from->first->room) {
    struct chunk *chunk = more(sizeof *chunk);
    chunk->next = from->first;
    from->first = chunk;
  }
  from->first->used += bytes;
  return from->first->room + from->first->used - bytes;
}

NOINLINE static void lose(void) {
  struct pool dropped = {0};
  for (int i = 0; i < 1000; i++) *(volatile char *)cut(&dropped, 48, lost_chunk) = 1;
}

NOINLINE static void keep(void) {
  struct pool single = {0};
  for (int i = 0; i < 2000; i++) *(volatile char *)cut(&pool, 48, kept_chunk) = 1;
  for (int i = 0; i < 30; i++) object = cut(&single, 48, kept_single_chunk);
}

int main(void) {
  keep(), lose();
  clear_stack();
  lost("lost_chunk", 6);
  exit(0);
}
