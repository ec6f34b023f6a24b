/* Calls through slots of addresses, on whatever machine this is. */
#pragma once

#if defined(__x86_64__)
#include "arch/x86_64/slot_scan.h"
#endif
