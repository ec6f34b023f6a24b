/* Padding between functions that can hold a 5-byte jump, for functions whose own beginning has room for a
 * 2-byte one only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_patch_request;

/* A place that nothing uses, of 5 bytes between low and high in the request's module; 0 when there is none.
 */
uintptr_t rf_landing_find(const struct rf_patch_request *request, uintptr_t low, uintptr_t high);
/* Whether the 5 bytes at address are free of landings, and of jumps that reach into the padding behind their
 * function. */
bool rf_landing_free(uintptr_t address);
/* How many are taken, and back to so many. */
size_t rf_landings(void);
void rf_landings_drop(size_t count);
/* Landings in code that is gone. */
void rf_landing_forget(uintptr_t low, uintptr_t high);
/* The 5 bytes at address are used from now on. */
void rf_landing_take(uintptr_t address);
