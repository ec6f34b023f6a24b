/*
 * A descriptor table of the sampler's own, empty: the app's numbers stay untouched by what the sampler opens,
 * and what the app closes is closed.
 */
#pragma once

#include <stdbool.h>

/* Whether a thread can leave the app's table at once (close_range, Linux 5.9): then clone it with CLONE_FILES
 * and let it call rf_descriptors_leave first. Else clone it without (its table is a copy) and let it call
 * rf_descriptors_drop. */
int rf_descriptors_can_leave(void);
/* On the sampler's thread. 0 or -errno; after an error nothing may be opened. */
long rf_descriptors_leave(void);
long rf_descriptors_drop(void);

/* Brings the app's descriptor of that number into the sampler's table, under the same number, for a moment:
 * whoever logs finds it. False where the kernel refuses. Give it back at once: a pipe's reader waits for its
 * end meanwhile. */
bool rf_descriptors_borrow(int number);
void rf_descriptors_give_back(int number);
