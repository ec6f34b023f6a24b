/* A monitor's result for people and for machines; see summary.c. */
#pragma once

#include "api/api.h"

/* One line to where the log goes, whatever its level: text, or JSON by refunc.log_format. Not in signal
 * handlers. */
void rf_summary_print(const struct refunc_result *result);
