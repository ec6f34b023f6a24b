/* Address space for Refunc's own heap; see region.c. For memory.c only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define RF_PAGE 4096u

/* Zeroed, readable and writable pages inside a region; bytes is a multiple of RF_PAGE. NULL when refused.
 * They are never given back as address space. Any thread, signal-safe, lock-free. Cost: two system calls at
 * most. */
void *rf_region_take(size_t bytes);

/* Gives the memory behind whole pages back to the kernel, keeping the address space. Whether they read as
 * zero now. */
bool rf_region_drop(void *start, size_t bytes);
