/*
 * Another thread's registers, through ptrace: kept, given back, set to run a function. For the tool. All
 * answer false (or 0) where the kernel refuses. The thread must be stopped by its tracer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct rf_tracee; /* everything that running a function may change: registers, vector state, shadow stack,
                     signal mask */

/* NULL where they can't be read. */
struct rf_tracee *rf_tracee_keep(pid_t thread);
/* Gives everything back as it was kept, so that a system call which the stop interrupted goes on. Frees it.
 */
bool rf_tracee_give_back(pid_t thread, struct rf_tracee *kept);
/* Sets the thread to run function(argument) on a stack that ends at stack, all signals blocked. It must not
 * return. */
bool rf_tracee_run(pid_t thread, const struct rf_tracee *kept, uintptr_t function, uintptr_t stack,
                   uintptr_t argument);

uintptr_t rf_tracee_place(pid_t thread);
bool rf_tracee_move(pid_t thread, uintptr_t place);
/* The stack pointer, less what lies below it in use; 0: not known. */
uintptr_t rf_tracee_stack(pid_t thread);
