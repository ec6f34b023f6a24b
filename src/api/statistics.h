/* Statistics of names while the app runs; see statistics.c. */
#pragma once

#include "api/tally.h"

/* Seconds a cycle and what measuring adds to a duration, as of now. */
struct rf_tally_scale rf_statistics_scale(uint32_t mode);
