/*
 * What children inherit: an app that empties or replaces the environment of what it execs would lose the
 * preload there. So exec and spawn get back what is missing of LD_PRELOAD and REFUNC_*, as it was when this
 * process began.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Copies what children shall have. Once, at start. */
void rf_environment_keep(char *const *environment);
/* How many entries completing environment takes, its NULL included; 0 when nothing is missing. */
size_t rf_environment_missing(char *const *environment);
/* Writes the completed environment to room. In a vfork child too: touches nothing else. */
void rf_environment_complete(char *const *environment, char **room);

/* The environment for a child: environment itself, or a completed copy on the caller's stack. */
#define RF_CHILD_ENVIRONMENT(environment)                                                                    \
  ({                                                                                                         \
    char *const *given_environment = (environment);                                                          \
    size_t needed_entries = rf_environment_missing(given_environment);                                       \
    char **completed = needed_entries ? __builtin_alloca(needed_entries * sizeof(char *)) : NULL;            \
    if (completed) rf_environment_complete(given_environment, completed);                                    \
    completed ? completed : (char **)given_environment;                                                      \
  })
