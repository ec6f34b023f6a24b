/* Executables with an allocator whose functions have no names any more. */
#pragma once

#include "report/model.h"

/*
 * Adds to heap.unseen the executables in which an allocator's own messages stand though nothing of it was
 * hooked: stripped ones with an allocator under a prefix. Goes by the files as they are now. Cost: a look at
 * the constants of every executable whose heap glibc served, at most 64 MiB each: some 0.5 ns a byte.
 */
void rf_report_hidden_allocators(struct rf_report *report);
