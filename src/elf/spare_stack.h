/*
 * Work that needs more stack than a thread may have: demanglers and regular expressions recurse and take
 * arrays of their input's size, while a thread that opens a library, where all of this may run, can have a
 * few kilobytes left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The stack that is kept between calls, so that taking it costs some nanoseconds. */
#define RF_SPARE_STACK ((size_t)1 << 20)

/*
 * Calls body(argument) on a stack of bytes (RF_SPARE_STACK, or more) with a guard below it. False: no memory,
 * and body was not called. Any thread; calls may nest. Whoever takes the kept stack holds it alone, later
 * ones get fresh ones: there is no lock that a forked child could find held. Under AddressSanitizer, which
 * follows jumps only on a thread's own stack, body runs on that.
 */
bool rf_on_spare_stack(size_t bytes, void (*body)(void *), void *argument);
