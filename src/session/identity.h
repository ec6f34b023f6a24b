/* Who this process is and where it runs: facts for the recording. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct rf_identity {
  char executable[4096]; /* absolute */
  const char *name;      /* its base name */
  char hostname[65];
};

void rf_identity_find(struct rf_identity *identity);
/* Records hostname, kernel, CPU, memory, executable, arguments, working directory, version. */
void rf_identity_record(const struct rf_identity *identity, int argc, char *const *argv);
