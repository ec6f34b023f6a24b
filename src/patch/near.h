/* Pages within a jump's reach of a module's code, for its stubs. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Writable pages from which code in [low, high) and what it refers to nearby is reachable; NULL when none is
 * free. Cost: about 1 us a probe. */
void *rf_near_pages(uintptr_t low, uintptr_t high, size_t bytes);
