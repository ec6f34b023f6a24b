/*
 * Starts a program with the library preloaded and waits for it, as if it had been started directly: signals
 * go through, stopping and continuing too, and how it ended is told.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct rf_launch {
  const char *program; /* as found */
  char *const *argv;
  const char *preload; /* goes in front of LD_PRELOAD */
  const char *run_dir; /* where recordings go with refunc.output: auto; may be "" */
  bool child_is_root;  /* the program itself reports at its exit; otherwise nobody in the tree does */
  const char *extra;   /* NAME=VALUE for the child alone, or NULL */
};

struct rf_ending {
  int status;  /* of wait */
  int failure; /* errno where the program could not be started, else 0 */
  pid_t pid;
};

/* false: could not even fork (said on stderr). */
bool rf_launch(const struct rf_launch *launch, struct rf_ending *ending);

/* What the shell would give: the exit status, 128 + the signal, 126 or 127 where it could not be started
 * (said). */
int rf_exit_status(const struct rf_launch *launch, const struct rf_ending *ending);
