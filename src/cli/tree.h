/* The recordings of a process tree that this tool has started: where they go, and finding them again. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/options.h"
#include "report/load.h"

struct rf_tree {
  char run_dir[4096];   /* "" where refunc.output is a pattern or none */
  char pattern[4096];   /* glob of where a pattern leads */
  char state[4096];     /* the folder of runs, "" where it isn't used */
  bool kept, in_memory; /* in_memory: output none */
  int64_t started_ns;   /* CLOCK_MONOTONIC */
};

/* Makes the run's folder where one is needed. false: said on stderr. */
bool rf_tree_prepare(struct rf_tree *tree, const struct rf_options *options, const char *program);
/* Opens what the tree left. How many recordings. */
size_t rf_tree_open(const struct rf_tree *tree, struct rf_recordings *recordings);
/* Notes how the process pid ended where its recording doesn't know. */
void rf_tree_note_end(const struct rf_tree *tree, pid_t pid, int wait_status);
/* Removes the folder if it is empty, and runs beyond the newest 20. */
void rf_tree_finish(const struct rf_tree *tree);
