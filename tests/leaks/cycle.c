/* Rings of blocks that lead to each other: one is kept, twelve are lost. */
#include "leaks.h"

struct node {
  struct node *next, *previous;
  char rest[48];
};

ALLOCATES(kept_ring)
ALLOCATES(lost_ring)

struct node *ring;

NOINLINE static struct node *make(int length, void *(*allocate)(size_t)) {
  struct node *first = allocate(sizeof *first), *last = first;
  for (int i = 1; i < length; i++) {
    struct node *node = allocate(sizeof *node);
    node->previous = last;
    last = last->next = node;
  }
  last->next = first;
  first->previous = last;
  return first;
}

NOINLINE static void lose(void) {
  for (int i = 1; i <= 12; i++) make(i, lost_ring)->rest[0] = 1;
}

int main(void) {
  ring = make(50, kept_ring);
  lose();
  clear_stack();
  lost("lost_ring", 78);
  exit(0);
}
