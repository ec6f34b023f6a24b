/* Globals of libraries that were opened keep what they lead to; those of one that was closed are gone. */
#include <dlfcn.h>

#include "leaks.h"

ALLOCATES(kept_by_open_module)
ALLOCATES(kept_by_main_module)
ALLOCATES(lost_with_closed_module)

void *volatile global;

NOINLINE static void *open_copy(const char *path, const char *copy) {
  char command[8192];
  snprintf(command, sizeof command, "%s", path);
  int from = open(path, O_RDONLY), to = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0700);
  for (ssize_t got; (got = read(from, command, sizeof command)) > 0;)
    if (write(to, command, (size_t)got) != got) abort();
  close(from), close(to);
  return dlopen(copy, RTLD_NOW);
}

int main(int count, char **argument) {
  if (count < 2) return 1;
  void *stays = open_copy(argument[1], "./stays.so"), *goes = open_copy(argument[1], "./goes.so");
  if (!stays || !goes) return 1;
  void *(*put)(int, void *) = (void *(*)(int, void *))dlsym(stays, "put");
  for (int i = 0; i < 30; i++) put(i, kept_by_open_module(90));
  put = (void *(*)(int, void *))dlsym(goes, "put");
  for (int i = 0; i < 30; i++) put(i, lost_with_closed_module(90));
  global = kept_by_main_module(50);
  if (dlclose(goes) != 0) return 1;
  clear_stack();
  lost("lost_with_closed_module", 30);
  exit(0);
}
