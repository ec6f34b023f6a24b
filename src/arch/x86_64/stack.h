/* Working on another stack than the one that the caller happens to have. */
#pragma once

/*
 * Calls body(argument) on the stack that ends at stack_top (rounded down to 16 bytes) and returns when it
 * does. The call chain stays whole for unwinders and debuggers. body may leave by a jump only to a point
 * inside itself. Signal handlers without a stack of their own run on the new stack. Cost: about 2 ns.
 */
void rf_call_on_stack(void *stack_top, void (*body)(void *), void *argument);
