/* The process's memory as of now; see memory.c. */
#pragma once

#include <stdint.h>

/* Resident bytes, REFUNC_UNKNOWN where the kernel can't be asked. Signal-safe. Cost: about 1 us. */
uint64_t rf_memory_resident(void);
