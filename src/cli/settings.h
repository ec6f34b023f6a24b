/* Options of the table as run, check and config take them from the command line, and how a child gets to know
 * them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/options.h"
#include "cli/command.h"

#define RF_ASSIGNMENTS 256

struct rf_settings {
  const char *assignment[RF_ASSIGNMENTS + 1]; /* section.key=value, NULL-terminated */
  size_t count;
  const char *config; /* --config, made absolute; NULL: none */
  struct rf_options *options;
};

enum rf_taken { RF_NOT_TAKEN, RF_TAKEN, RF_TAKEN_WRONG };

/* Takes the next argument if it is --trace, --preset, --config, --set, or --KEY for any option.
 * RF_TAKEN_WRONG: it was one and is wrong, and that has been said. */
enum rf_taken rf_settings_take(struct rf_settings *settings, struct rf_args *args, const char *command);
/* Loads all sources; what is wrong has been said on stderr. The number of errors. */
int rf_settings_load(struct rf_settings *settings);
/* Puts the settings into this process's environment, where a child's library finds them. false without
 * memory. */
bool rf_settings_export(const struct rf_settings *settings);
void rf_settings_free(struct rf_settings *settings);
