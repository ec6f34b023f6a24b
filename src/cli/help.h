/* Help texts, the man page and the shell completion, all from the table of commands and the table of options.
 */
#pragma once

#include <stdio.h>

#include "cli/command.h"

/* Each gives an exit status back. */
int rf_help_main(FILE *out);
int rf_help_command(FILE *out, const struct rf_command *command);
int rf_help_man(FILE *out);        /* refunc.1, as roff */
int rf_help_completion(FILE *out); /* bash */

const char *rf_help_nearest_command(const char *name); /* NULL: none is near */
