/* The interposed socket calls; see sockets.c. */
#pragma once

#include <stdbool.h>

/* From the constructor: finds libc's functions, and counts from here on when on. */
void rf_sockets_start(bool on);
