/* Asks the tool what debug information says of functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* requests: "OFFSET:SYMBOL", the offset in hexadecimal; *text (rf_free) is read by
 * src/validate/description.c. Runs the tool and waits for it, 20 s at most. false: nothing came back. */
bool rf_describe(const char *module, const char *const *requests, size_t count, char **text, size_t *length);
/* The environment for the tool. */
void rf_describe_environment(char *const *environment);
