/* What kind of machine this is, as far as it moves performance: facts for the recording, beside identity.h's.
 */
#pragma once

/* Reads them, once, at start; a forked child has them. Raw system calls and libc functions that keep no
 * state: libc's own constructors have not run. Cost: about 100 us. */
void rf_machine_find(void);
/* Records them, and why others can't be told. */
void rf_machine_record(void);
