/*
 * A thread that ptrace has stopped, seen by its tracer: what its registers hold, and going on as if it had
 * not been stopped. Raw system calls only: usable where there is no errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At most so many words come of one thread's registers. */
#define RF_STOPPED_WORDS 640

/*
 * What the general and vector registers hold, as words (RF_STOPPED_WORDS at most) that may be addresses;
 * others are left out. stack: where the memory begins that the thread uses of its stack. The number of words;
 * 0: can't be read.
 */
size_t rf_stopped_registers(int thread, uintptr_t *words, uintptr_t *stack);

/*
 * Some system calls (epoll_wait, semop, sigtimedwait, io_getevents, ...) answer EINTR to any stop, even one
 * that no signal caused: has such a one begin anew. Not to be called where a signal is pending, which would
 * have interrupted it anyway.
 */
void rf_stopped_begin_call_again(int thread);
