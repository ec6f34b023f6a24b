/*
 * Reading what the app's pointers lead to, without ever faulting. Pages that were found readable are
 * remembered per thread, for a millisecond at most and until memory is given back (rf_memory_changed). What
 * another thread unmaps between the look and the read is not caught. General registers only; any thread,
 * signal-safe, errno is kept.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rf_readability { RF_UNREADABLE, RF_READABLE, RF_NOT_KNOWN }; /* not known: behind a system call filter */

/* Whether [start, start + bytes) can be read. *bad: the first address that can't. Cost: about 25 ns where it
 * is known, 100 ns a page where not, less for large ranges. */
enum rf_readability rf_memory_readable(uintptr_t start, size_t bytes, uintptr_t *bad);

/* Blocks from here on may be given back to the kernel when they are freed. */
#define RF_MEMORY_LARGE 65536u

/* After munmap, mremap, mprotect, madvise, brk, or a large block given back. Cost: an atomic add. */
void rf_memory_changed(void);
