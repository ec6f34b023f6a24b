/* POSIX extended regular expressions, guarded: what would eat the app's memory or time is refused when
 * compiled. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct rf_expression; /* opaque */

/* Compiles source (without slashes). NULL: error says in one line what is wrong. Back references, nesting
 * deeper than 50 and repetitions that stand for more than 5,000 elements are refused. Not signal-safe. */
struct rf_expression *rf_expression_new(const char *source, char *error, size_t error_bytes);
void rf_expression_free(struct rf_expression *expression);
/* Searches anywhere in text. Cost: about a microsecond. */
bool rf_expression_matches(const struct rf_expression *expression, const char *text);
