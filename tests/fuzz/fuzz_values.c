/* Any text as environment and --set: lines; those that begin with REFUNC_ are variables, the others
 * assignments. */
// sources: src/base/*.c
// libraries: -lyaml
#include <stdint.h>

#include "options.h"

#define LINES 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = strndup((const char *)data, size), *rest = text, *line;
  char *environment[LINES + 1] = {NULL};
  const char *assignments[LINES + 1] = {NULL};
  size_t variables = 0, sets = 0;
  while ((line = strsep(&rest, "\n")) && variables < LINES && sets < LINES) {
    if (strncmp(line, "REFUNC_CONFIG=", 14) == 0) continue;
    if (strncmp(line, "REFUNC_", 7) == 0)
      environment[variables++] = line;
    else
      assignments[sets++] = line;
  }
  int errors = 0, lines = 0;
  const struct rf_option_sources sources = {environment, assignments, NULL};
  struct rf_options *options = rf_options_load(&sources, complaint, &lines, &errors);
  check_options(options, lines, errors);
  rf_options_free(options);
  free(text);
  return 0;
}
