/* A list that a global leads to; nodes are unlinked and forgotten. */
#include "leaks.h"

struct node {
  struct node *next;
  int number;
  char *text;
};

ALLOCATES(kept_node)
ALLOCATES(kept_text)
ALLOCATES(lost_node)

struct node *list;

NOINLINE static void push(int number) {
  struct node *node = number % 10 ? kept_node(sizeof *node) : lost_node(sizeof *node);
  *node = (struct node){list, number, number % 10 ? kept_text(30) : NULL};
  list = node;
}

NOINLINE static void unlink_tenths(void) {
  struct node **at = &list;
  while (*at)
    if ((*at)->number % 10)
      at = &(*at)->next;
    else
      *at = (*at)->next;
}

int main(void) {
  for (int i = 0; i < 500; i++) push(i);
  unlink_tenths();
  clear_stack();
  lost("lost_node", 50);
  exit(0);
}
