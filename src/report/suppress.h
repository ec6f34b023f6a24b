/*
 * LeakSanitizer's suppressions: lines "leak:PATTERN", "#" begins a comment. A pattern matches where it occurs
 * in the name of a function, a source file or a module of the stack; "*" stands for anything, "^" and "$" for
 * its ends.
 */
#pragma once

#include <stdbool.h>

#include "report/model.h"

struct rf_suppressions; /* opaque; in the report's arena */

/* NULL: there is no such file, or nothing in it; *problem then says so, unless path is empty. */
struct rf_suppressions *rf_suppressions_read(struct rf_arena *arena, const char *path, const char **problem);
bool rf_suppressed(const struct rf_suppressions *suppressions, const struct rf_report *report,
                   const struct rf_report_site *site);
