/*
 * The threads of another process, stopped by ptrace without any signal: system calls that wait go on waiting
 * when they are let go.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rf_tracees {
  pid_t pid;
  pid_t *thread; /* those that are stopped */
  size_t count, capacity;
};

/* Stops one thread: 0, or a negative errno: -ESRCH it is gone, -ETIMEDOUT it does not stop. */
int rf_tracees_stop_one(struct rf_tracees *tracees, pid_t thread);
/* Stops all of the process's threads that are not stopped yet, also those that start meanwhile. */
int rf_tracees_stop_all(struct rf_tracees *tracees);
/* Lets all go on where they were. */
void rf_tracees_release(struct rf_tracees *tracees);
