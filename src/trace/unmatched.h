/* Patterns that match nothing, in the recording: with the names that are near them. */
#pragma once

#include <stddef.h>

#include "elf/pattern.h"
#include "recording/format.h"

/* Fills in names near their patterns, of all loaded modules' symbols, in one visit: that costs more than
 * comparing most of them. NULLs are left out. */
void rf_unmatched_look(struct rf_nearest_names *const *names, size_t count);

/* The pattern's entry in unmatched[]; 0: the recording is full. names: NULL for none. */
rf_ref rf_unmatched_record(const char *pattern, struct rf_nearest_names *names);
/* Something has matched after all. */
void rf_unmatched_withdraw(rf_ref *unmatched);
