/*
 * The call stack of an allocation as a node in the recording (stacks.h), at the cost of what it does not
 * share with an earlier one.
 *
 *   stack pointer ─▶ one of 32 last stacks of this thread (programs come back to the same depth by the same
 * way) frames still as they were: their nodes are known                            1 ns a frame frames that
 * differ: stepped over, and their nodes looked up, at first in a small table of the thread's own
 *
 * Memory: at most 21 KB for each of the 128 that a thread really uses, at 64 frames.
 */
#pragma once

#include <stdint.h>

#include "recording/format.h"

struct rf_capture; /* one thread's */

/* depth: frames kept. NULL without memory. Signal-safe. */
struct rf_capture *rf_capture_new(uint32_t depth);
/* Its thread is gone; it goes to another one. */
void rf_capture_reset(struct rf_capture *capture);
/* The stack of the caller's caller and so on, Refunc's own frames left out; RF_STACK_END: no room for it.
 * Signal-safe, also while it interrupts itself on this thread. errno is kept. */
rf_ref rf_capture_here(struct rf_capture *capture);
