/* The clocks of timing.mode besides the time stamp counter. Any thread, signal-safe, general registers only.
 */
#pragma once

#include <stdint.h>

#include "arch/entry.h"
#include "recording/format.h"

/* Nanoseconds of the clock of a mode. Cost: about 25 ns for wall_clock with the vDSO, a system call for the
 * CPU clocks. */
RF_PRESERVE_ALL uint64_t rf_clock_read(enum rf_clock_mode mode);
