/*
 * The runs that refunc.output: auto keeps: one folder each under STATE/refunc (place.h), whose names sort by
 * start time. Raw system calls only, no heap: the library prunes at the end of a root process, the tool finds
 * the newest.
 */
#pragma once

#include <stddef.h>

/* The newest run's folder that holds a recording: 0, or -ENOENT. state: rf_place_state(). */
int rf_runs_newest(const char *state, char *path, size_t size);

/* Removes the oldest runs but keep of them; runs in which a process is still alive stay, as does everything
 * that is not a run's folder. Returns how many were removed, or a negative errno. Cost: one look at the
 * folder per removed run. */
int rf_runs_prune(const char *state, unsigned keep);
