/* Padding between functions that can hold a 5-byte jump, for functions whose own beginning has room for a
 * 2-byte one only. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_patch_request;

/* A place near the request's function that nothing uses; 0 when there is none. */
uintptr_t rf_landing_find(const struct rf_patch_request *request);
/* Whether the 5 bytes at address are free of landings, and of jumps that reach into the padding behind their
 * function. */
bool rf_landing_free(uintptr_t address);
/* Landings in code that is gone. */
void rf_landing_forget(uintptr_t low, uintptr_t high);
/* The 5 bytes at address are used from now on. */
void rf_landing_take(uintptr_t address);
