/*
 * Writing many changes of code at once, in code that no thread runs meanwhile: a run of neighbouring pages is
 * copied, the copy changed, and written in one system call. Each change alone would cost one.
 */
#pragma once

#include <stddef.h>

struct rf_edit;

#define RF_RUN_BYTES ((size_t)64 << 10)

/* Writes as many of the edits, from the first one on, as are quiet and lie in one run; room: RF_RUN_BYTES, or
 * NULL. Answers how many; 0: the first one is to be written alone. What is writing must be open
 * (patch/text.h). Cost: about 1 us a page. */
size_t rf_run_write(const struct rf_edit *edits, size_t count, void *room);
