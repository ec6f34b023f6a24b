/* Makes YAML of a config file that isn't; see config_mend.c. For config.c only. */
#pragma once

#include <stddef.h>

#include "base/config.h"

/* Reports what is not YAML in text, line by line, and overwrites it with blanks. Returns the length that is
 * to be read: less than length when there was too much of it. Line breaks must be "\n". */
size_t rf_config_mend(char *text, size_t length, const struct rf_config_handler *handler);
