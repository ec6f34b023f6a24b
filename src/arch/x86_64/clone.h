/* A bare kernel thread: no libc, no TLS of its own. */
#pragma once

/*
 * clone(2) with flags (CLONE_VM | CLONE_THREAD ... ); the new thread runs body(argument) on the stack that
 * ends at stack_top and ends with it. It starts with the floating-point environment of a fresh process,
 * whatever its creator had set: an exception that the creator had unmasked would kill the process. tid
 * receives the thread's number before this returns (CLONE_PARENT_SETTID) and is zeroed, and woken as a futex,
 * when it has ended (CLONE_CHILD_CLEARTID). Returns the number or a negative errno. Block signals around it:
 * the thread inherits the mask.
 */
long rf_clone_thread(unsigned long flags, void *stack_top, void (*body)(void *), void *argument,
                     unsigned *tid);
