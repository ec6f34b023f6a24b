/* Finding a timed call's timed callers by walking its stack, for calls that are thinned by timing.budget. */
#pragma once

#include <stdint.h>

struct rf_record;

/*
 * At the exit of a timed call: takes its duration off the nearest timed caller's sum; where the function is among its own callers,
 * takes it off its outermost calls' sum. On an own stack. Cost: about 0.3 us, which goes on the thread's budget.
 */
void rf_callers_walk(struct rf_record *record, uint64_t duration, uintptr_t rbp);
