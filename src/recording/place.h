/*
 * Where recordings and reports go: the names that refunc.output and refunc.report stand for. Library and tool
 * alike; raw system calls only, no heap.
 *
 *   auto      STATE/refunc/20261126T054530.123Z-app-1234/app-1234.rfn        one folder a run
 *             STATE = $XDG_STATE_HOME, else $HOME/.local/state
 *   pattern   %e %p %h %r %t %% replaced; relative to the directory the root process started in
 *   none      nowhere
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_PLACE_ENDING ".rfn"
#define RF_RUNS_KEPT 20u

/* What the names are made of. NULL texts count as not set. */
struct rf_place_facts {
  const char *executable; /* base name */
  uint32_t pid;
  const char *hostname;
  int64_t start_realtime_ns;
  const char *root_dir;          /* absolute: relative patterns start there */
  const char *home, *state_home; /* HOME, XDG_STATE_HOME of the environment */
  const char *rank;              /* rf_place_rank() */
};

/* The value of the first of OMPI_COMM_WORLD_RANK, PMI_RANK, PMIX_RANK, SLURM_PROCID in an environment, else
 * "0". */
const char *rf_place_rank(char *const *environment);
/* The value of NAME in an environment, or NULL. */
const char *rf_place_variable(char *const *environment, const char *name);

/* STATE/refunc: 0, -ENOENT when neither variable gives an absolute directory, -ENAMETOOLONG. */
int rf_place_state(char *path, size_t size, const char *home, const char *state_home);

/* The folder of a new run for output: auto (not yet made): 0 or a negative errno. Only a root process asks.
 */
int rf_place_run_dir(char *path, size_t size, const struct rf_place_facts *facts);

/*
 * The absolute output path for an option's value: 0, 1 for none (path is then empty), or a negative errno.
 * run_dir: the run's folder, for auto. The file and its folders are not made here.
 */
int rf_place_output(char *path, size_t size, const char *option, const char *run_dir,
                    const struct rf_place_facts *facts);

/* Expands a pattern to an absolute path: 0, -EINVAL for an unknown %x, -ENAMETOOLONG. Serves refunc.report as
 * well. */
int rf_place_expand(char *path, size_t size, const char *pattern, const struct rf_place_facts *facts);

/* path for number 1, "a.2.rfn" for number 2 of "a.rfn": false when it does not fit. */
bool rf_place_numbered(char *path, size_t size, const char *wanted, unsigned number);

/* Makes the folders above a file (not the file): 0 or a negative errno. */
int rf_place_make_parents(const char *path, unsigned mode);
