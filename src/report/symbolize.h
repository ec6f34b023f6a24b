/*
 * Names for code addresses: function, file and line, and what was inlined there, from the modules' files and
 * their debug information (libdw; debug files are found by build-id and debuglink, on this machine only). A
 * file that is not the one that ran (another build-id) names nothing.
 */
#pragma once

#include "report/model.h"

/* What the address is called, innermost first; at least one symbol, perhaps only "module+0x...". Kept in the
 * report: each address is looked up once. Cost: 10 us to 1 ms, more for a module's first. */
const struct rf_report_symbol *rf_symbols_of(const struct rf_report *report,
                                             const struct rf_report_frame *frame, size_t *count);

/* "function (file.c:12)", the file's base name; "[inlined]" behind what was. Returns text. */
char *rf_symbol_text(char *text, size_t size, const struct rf_report_symbol *symbol);

/* For a report whose modules are all known; free what it keeps open with the report. */
struct rf_symbolizer *rf_symbolizer_new(struct rf_arena *arena, size_t modules);
void rf_symbolizer_free(struct rf_symbolizer *symbolizer);
