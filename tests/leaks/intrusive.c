/* Lists through hooks in the middle of objects: no pointer to any object's beginning. */
#include "leaks.h"

struct hook {
  struct hook *next, *previous;
};
struct object {
  char name[40];
  struct hook hook;
  char rest[100];
};

ALLOCATES(kept_object)
ALLOCATES(lost_object)

static struct hook ring = {&ring, &ring};

NOINLINE static void add(struct hook *to, struct hook *hook) {
  *hook = (struct hook){to->next, to};
  to->next->previous = hook;
  to->next = hook;
}

NOINLINE static void lose(void) { /* a ring of their own */
  struct hook other = {&other, &other};
  for (int i = 0; i < 30; i++) add(&other, &((struct object *)lost_object(sizeof(struct object)))->hook);
  other.next->previous = other.previous;
  other.previous->next = other.next;
}

int main(void) {
  for (int i = 0; i < 100; i++) add(&ring, &((struct object *)kept_object(sizeof(struct object)))->hook);
  lose();
  clear_stack();
  lost("lost_object", 30);
  exit(0);
}
