/* See environment.h. */
#include "preload/environment.h"

#include <string.h>

#include "base/memory.h"

#define MOST_KEPT 64
#define MOST_ENTRIES 16384 /* of an environment that is completed: it goes on a stack */

static char *kept[MOST_KEPT];
static size_t kept_count;

static bool is_ours(const char *entry) {
  return !strncmp(entry, "LD_PRELOAD=", 11) || !strncmp(entry, "REFUNC_", 7);
}

void rf_environment_keep(char *const *environment) {
  for (; environment && *environment && kept_count < MOST_KEPT; environment++)
    if (is_ours(*environment) && (kept[kept_count] = rf_strdup(*environment))) kept_count++;
}

/* Whether environment has a variable of this entry's name. One that the app set otherwise stays as it is,
 * LD_PRELOAD too. */
static bool has(char *const *environment, const char *entry) {
  size_t name = (size_t)(strchr(entry, '=') - entry) + 1;
  for (; environment && *environment; environment++)
    if (!strncmp(*environment, entry, name)) return true;
  return false;
}

size_t rf_environment_missing(char *const *environment) {
  size_t count = 0, missing = 0;
  while (environment && environment[count]) count++;
  for (size_t i = 0; i < kept_count; i++)
    if (!has(environment, kept[i])) missing++;
  return missing && count < MOST_ENTRIES ? count + missing + 1 : 0;
}

void rf_environment_complete(char *const *environment, char **room) {
  for (char *const *entry = environment; entry && *entry; entry++) *room++ = *entry;
  for (size_t i = 0; i < kept_count; i++)
    if (!has(environment, kept[i])) *room++ = kept[i];
  *room = NULL;
}
