/* Writing to code that may be running: never through a page that is writable and executable at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Opens what writing needs; false when the kernel allows neither way. */
bool rf_text_open(void);
void rf_text_close(void);
/* Replaces bytes of code at address. 0 or a negative errno. Threads that run in the page never miss it. Cost:
 * about 1 us. */
int rf_text_write(void *address, const void *bytes, size_t count);
/* The same for data that may be read-only: no copy is mapped over it. */
int rf_text_write_data(void *address, const void *bytes, size_t count);
/* Makes whole pages that were written to executable, and no longer writable, at the same address. 0 or a
 * negative errno. Cost: a system call; six where the process may not do that and gets copies. */
int rf_text_seal(void *pages, size_t bytes);
