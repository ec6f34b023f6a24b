/* Replacing addresses in a module's data that threads may be reading, also where the loader has made it
 * read-only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_dynamic;

/* The protection (PROT_*) that the pages have at address; relocated: the loader has done its part. 0: it is
 * no data of the module. */
int rf_data_protection(const struct rf_dynamic *dynamic, uintptr_t address, bool relocated);
/* Replaces the 8 bytes at address, aligned to their size, if they are before; pages have that protection and
 * keep it. False: they are not, or the kernel refuses. Readers see the one value or the other. Cost: 10 ns;
 * in read-only pages 2 us. */
bool rf_data_replace(uintptr_t address, uint64_t before, uint64_t after, int protection);
