/*
 * What DWARF says of functions' parameters and results, as text for the library's rules; the form is
 * described in src/validate/description.c. Nothing of DWARF enters the app: this runs in the tool.
 */
#pragma once

#include <stdint.h>

#include "report/buffer.h"

struct rf_dwarf; /* opaque: an opened module */

/* NULL: it can't be read, or has no debug information (nor a debug file on this machine). */
struct rf_dwarf *rf_dwarf_open(const char *module);
/* Adds the lines of one function; offset: its virtual address in the file, symbol: as in the symbol table. */
void rf_dwarf_function(struct rf_dwarf *dwarf, uint64_t offset, const char *symbol, struct rf_buffer *out);
/* Adds the lines of all types that functions referred to. Afterwards: rf_dwarf_close. */
void rf_dwarf_types(struct rf_dwarf *dwarf, struct rf_buffer *out);
void rf_dwarf_close(struct rf_dwarf *dwarf);
