/* Allocation sites as folded stacks, one a line: frames from the outermost in, joined by semicolons, a blank
 * and a number: what flamegraph.pl, speedscope and inferno read. */
#pragma once

#include "report/buffer.h"
#include "report/model.h"

/* The number is the bytes allocated there, over the whole run. */
void rf_folded_report(struct rf_buffer *out, struct rf_report *const *reports, size_t count);
