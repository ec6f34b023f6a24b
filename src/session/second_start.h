/*
 * heap.allocator=jemalloc: a process that is to be served from jemalloc starts once more.
 *
 *   first start                                   second start (same pid, arguments, descriptors, signals)
 *   constructor: options say jemalloc             loader: librefunc_preload.so, librefunc_jemalloc.so
 *   execve(itself, LD_PRELOAD=...:jemalloc's,     constructor: puts the environment back as it was,
 *          REFUNC__JEMALLOC=what to put back)     goes on as ever; every block since the first is jemalloc's
 *
 * jemalloc needs 2.6 KB of static thread-local storage, more than the loader keeps for libraries that are
 * opened later (1.6 KB), so that it can't be opened by a process that runs. Nothing of the app has run when
 * it starts once more: its constructors come after ours. Children start by the environment that was put back,
 * and decide by their own options.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* At start, before anybody reads the environment: whether this is a second start; puts back what the first
 * one changed. */
bool rf_second_start(char **environment);
/* Replaces this process by itself, with jemalloc. Comes back only where that is impossible: the reason is
 * written to why. library: the path of librefunc_preload.so. */
void rf_start_again(char *const *arguments, char *const *environment, const char *library, char *why,
                    size_t size);
