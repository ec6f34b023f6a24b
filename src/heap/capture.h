/*
 * The call stack of an allocation as a node in the recording (stacks.h), and what the caller knows of it, at
 * the cost of what it does not share with an earlier one.
 *
 *   stack pointer, stack before ─▶ one of 64 sets of 4 sealed stacks of this thread (unwind/seal.h), since
 *     │                            allocations come in sequences that repeat                        10 to 15 ns
 *     └─ none holds ─▶ walked: frames as in the last walk have known nodes                          2 ns a frame
 *                      others are stepped over and their nodes looked up, at first in a small table 15 ns a frame
 *
 * Memory: up to 0.6 MB a thread at 64 frames, as many pages of it as a thread has different stacks.
 */
#pragma once

#include <stdint.h>

#include "recording/format.h"

struct rf_capture; /* one thread's */

/* What the caller knows of a stack, kept with it: asked for once in many times. NULL: not to be kept. */
typedef void *rf_capture_known(void *user, rf_ref stack);

/* depth: frames kept. NULL without memory. Signal-safe. */
struct rf_capture *rf_capture_new(uint32_t depth, rf_capture_known *known);
/* Its thread is gone; it goes to another one. */
void rf_capture_reset(struct rf_capture *capture);
/* What is known of the stack of the caller's caller and so on, Refunc's own frames left out; that of
 * RF_STACK_END where there is no room for a stack. Signal-safe, also while it interrupts itself on this
 * thread. errno is kept. */
void *rf_capture_here(struct rf_capture *capture, void *user);
