/* The interposed mmap family (mappings.c). */
#pragma once

/* Finds the definitions behind ours. At start, single-threaded. */
void rf_mappings_find(void);
