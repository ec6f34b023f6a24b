/* The functions part of a session: patterns, patches, what the probe costs, and libraries that are opened
 * later. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_options;

/* end_process: ends it with its report saved, for rules that want that. */
void rf_functions_start(const struct rf_options *options, bool dry, void (*end_process)(void));
/* Does what a mailbox asks for and leaves the answer there. */
struct rf_change;
void rf_functions_change(struct rf_change *change);
/* What the library's own code lies between. */
void rf_functions_own_code(uint64_t *low, uint64_t *high);
/* In a forked child, into its new recording. */
void rf_functions_record_again(void);
