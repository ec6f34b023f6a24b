/* The exit report: where refunc.report wants it, rendered by the tool. */
#pragma once

#include <stdbool.h>

struct rf_options;
struct rf_place_facts;

struct rf_exit_report {
  const struct rf_options *options;
  const struct rf_place_facts *facts; /* for patterns */
  const char *run_dir;                /* of the whole run; empty: none */
  bool is_root;                       /* no recorded process is above this one */
  char *const *environment;           /* the app's */
};

/* Waits for the tool, 10 s at most. */
void rf_exit_report(const struct rf_exit_report *report);
