/* A forked child loses blocks of its own, keeps others in a table that its parent had made, and inherits all
 * the rest. */
#include <sys/wait.h>

#include "leaks.h"

ALLOCATES(kept_table)
ALLOCATES(kept_by_parent)
ALLOCATES(kept_by_child)
ALLOCATES(lost_by_parent)
ALLOCATES(lost_by_child)

void ***table; /* of tables */

NOINLINE static void lose(void *(*allocate)(size_t), int count) {
  for (int i = 0; i < count; i++) *(volatile char *)allocate(150) = 1;
}

NOINLINE static void run_child(void) {
  for (int i = 0; i < 40; i++) table[i][3] = kept_by_child(32); /* the tables are older than the child */
  lose(lost_by_child, 25);
  clear_stack();
  lost("lost_by_child", 25);
  exit(0);
}

int main(void) {
  int status;
  table = kept_table(40 * sizeof *table);
  for (int i = 0; i < 40; i++) {
    table[i] = kept_table(8 * sizeof **table);
    table[i][0] = kept_by_parent(100);
  }
  lose(lost_by_parent, 12);
  pid_t child = fork();
  if (!child) run_child();
  if (waitpid(child, &status, 0) != child || status) return 1;
  clear_stack();
  lost("lost_by_parent", 12);
  exit(0);
}
