/* The functions part of a session: patterns, patches, what the probe costs, and libraries that are opened later. */
#pragma once

#include <stdbool.h>

struct rf_options;

void rf_functions_start(const struct rf_options *options, bool dry);
/* In a forked child, into its new recording. */
void rf_functions_record_again(void);
