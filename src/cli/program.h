/* The program that run and check start: its arguments, where it and the library are, and whether it would be
 * recorded. */
#pragma once

#include <stdint.h>

#include "cli/command.h"
#include "cli/settings.h"

struct rf_program {
  char path[4096];    /* the program or script */
  char loaded[4096];  /* what the kernel loads: a script's interpreter */
  char preload[4096]; /* for LD_PRELOAD: behind a sanitizer's runtime where the program needs one */
  int64_t started_realtime_ns;
};

/* Takes options up to CMD and loads them: RF_OK, or status with everything said. args->next is then CMD. */
int rf_program_arguments(struct rf_settings *settings, struct rf_args *args, const char *command, int status);
/* RF_OK, RF_NOT_FOUND, RF_NOT_EXECUTABLE, or RF_FAILED where it can't be preloaded; said. */
int rf_program_find(struct rf_program *program, const char *name);
/* The pattern of refunc.exclude that passes this executable through unrecorded, or NULL. */
const char *rf_passed_through(const struct rf_options *options, const char *executable);
const char *rf_base_name(const char *path);
