/*
 * Once the app has installed a system call filter, a call that it did not foresee may kill it: from then on
 * Refunc makes none on the app's threads. What would need one (another thread's first traced call, more
 * memory) is given up.
 */
#pragma once

#include <stdbool.h>

bool rf_quiet(void);
/* From now on, in this process and the children it forks. */
void rf_quiet_begin(void);
