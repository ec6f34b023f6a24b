/* Functions that are never timed, whatever pattern asks for them. */
#pragma once

#include <stdbool.h>

/* Why nothing of a process that has this module can be timed; NULL when it can. */
const char *rf_refuse_process(const char *module);

/* Whether this module is a conservative collector that looks into libraries' data, too. */
bool rf_collector_scans_data(const char *module);

/* Why the function of this name in this module can't be timed; NULL when it can. */
const char *rf_refuse_name(const char *module, const char *name);
