/* What libc allocates for its callers: files, directories, lines, regular expressions. Open streams it knows
 * itself. */
#include <dirent.h>
#include <regex.h>

#include "leaks.h"

regex_t *expression;
char *line;

NOINLINE static FILE *kept_stream(void) { return fopen("/proc/self/maps", "r"); }
NOINLINE static void kept_expression(void) { regcomp(expression = malloc(sizeof *expression), "a[bc]*d", 0); }
NOINLINE static DIR *lost_directory(void) { return opendir("/"); }
NOINLINE static char *lost_line(FILE *from) {
  char *own = NULL;
  size_t room = 0;
  return getline(&own, &room, from) > 0 ? own : NULL;
}
NOINLINE static char *lost_text(int number) {
  char *text = NULL;
  return asprintf(&text, "number %d and a good deal of text around it", number) > 0 ? text : NULL;
}

NOINLINE static void lose(FILE *from) {
  for (int i = 0; i < 3; i++) {
    DIR *directory = lost_directory();
    HIDE(directory);
  }
  for (int i = 0; i < 10; i++) *(volatile char *)lost_line(from) = 'x';
  for (int i = 0; i < 10; i++) *(volatile char *)lost_text(i) = 'x';
}

int main(void) {
  FILE *from = kept_stream();
  size_t room = 0;
  kept_expression();
  if (getline(&line, &room, from) <= 0) return 1;
  lose(from);
  kept_stream();
  clear_stack();
  lost("lost_directory", 3), lost("lost_line", 10), lost("lost_text", 10);
  exit(0);
}
