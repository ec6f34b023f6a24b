/*
 * The app's allocator with its functions hooked (foreign.h): what our own functions ask of it, they count
 * themselves, so the hooks pass it through.
 */
#pragma once

#include <stddef.h>

/* rf_app's functions are hooked: from now on they are called silently. */
void rf_silent_begin(void);
/* Every call of malloc goes past ours, to hooked functions: only rf_app's usable_size is needed, and this is
 * it. */
void rf_silent_sizes(size_t (*usable_size)(void *block));
