/* A tree, lost with its root; another one of which a branch was cut off. */
#include "leaks.h"

struct node {
  struct node *left, *right;
  char *label;
};

ALLOCATES(kept_node)
ALLOCATES(lost_node)
ALLOCATES(lost_branch)

struct node *root;

NOINLINE static struct node *grow(int height, void *(*allocate)(size_t)) {
  if (!height) return NULL;
  struct node *node = allocate(sizeof *node);
  *node = (struct node){grow(height - 1, allocate), grow(height - 1, allocate), allocate(20)};
  return node;
}

NOINLINE static void lose(void) { grow(8, lost_node)->label[0] = 'x'; }

int main(void) {
  root = grow(9, kept_node);
  struct node **cut = &root->left->right->left;
  struct node *former = *cut;
  *cut = grow(5, lost_branch);
  *cut = former;
  former = NULL;
  HIDE(former);
  lose();
  clear_stack();
  lost("lost_node", 510), lost("lost_branch", 62);
  exit(0);
}
