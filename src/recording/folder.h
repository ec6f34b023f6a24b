/* Reading directories without opendir, whose buffer would come from the app's heap. */
#pragma once

#include <stdbool.h>

/* Calls visit for every entry but "." and ".." until it returns false. folder: an open directory, or a path
 * with rf_folder_visit. 0 or a negative errno. Needs 8 KB of stack. */
int rf_folder_visit_fd(int folder, bool (*visit)(void *user, const char *name), void *user);
int rf_folder_visit(const char *path, bool (*visit)(void *user, const char *name), void *user);
