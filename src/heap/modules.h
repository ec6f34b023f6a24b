/* Which modules the addresses in stacks belong to: told to the recording as they are mapped. */
#pragma once

struct rf_module;

/* Around a look at all loaded modules, one at a time: begin, seen for each, end. Not signal-safe. */
void rf_heap_modules_begin(void);
void rf_heap_modules_seen(const struct rf_module *module);
void rf_heap_modules_end(void);
/* In a forked child with a new recording. */
void rf_heap_modules_again(void);
