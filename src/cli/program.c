/* See program.h. */
#include "cli/program.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/preflight.h"

const char *rf_base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static const char *matching(const struct rf_options *options, enum rf_option option, const char *name) {
  const struct rf_option_item *items;
  size_t count = rf_option_list(options, option, &items);
  for (size_t i = 0; i < count; i++)
    if (fnmatch(items[i].text, name, 0) == 0) return items[i].text;
  return NULL;
}

/* The kernel names a process by what it executed, and /proc/self/exe by what links lead to: either may be
 * excluded. */
const char *rf_passed_through(const struct rf_options *options, const char *executable) {
  char real[PATH_MAX];
  const char *name = rf_base_name(realpath(executable, real) ? real : executable);
  const struct rf_option_item *items;
  if (matching(options, RF_OPT_INCLUDE, name)) return NULL;
  if (rf_option_list(options, RF_OPT_INCLUDE, &items)) return "refunc.include names others only";
  return matching(options, RF_OPT_EXCLUDE, name) ? "refunc.exclude" : NULL;
}

static void put_sanitizer_first(struct rf_program *program) {
  char runtime[256], library[sizeof program->preload];
  if (!rf_sanitizer_runtime(program->loaded, runtime, sizeof runtime)) return;
  memcpy(library, program->preload, sizeof library);
  snprintf(program->preload, sizeof program->preload, "%s:%s", runtime, library);
}

int rf_program_find(struct rf_program *program, const char *name) {
  char why[4400];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  program->started_realtime_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
  int status = rf_find_program(name, program->path, sizeof program->path);
  if (status != RF_OK) return status;
  if (!rf_preloadable(program->path, program->loaded, sizeof program->loaded, why, sizeof why))
    return rf_fail(RF_FAILED, "%s", why);
  if (!rf_find_library(program->preload, sizeof program->preload, why, sizeof why))
    return rf_fail(RF_FAILED, "%s", why);
  if (strpbrk(program->preload, " :"))
    return rf_fail(RF_FAILED,
                   "%s: LD_PRELOAD can't hold a path with blanks or colons; install Refunc elsewhere",
                   program->preload);
  put_sanitizer_first(program);
  return RF_OK;
}

static const char *const known[] = {"--trace", "--config", "--set", NULL};

int rf_program_arguments(struct rf_settings *settings, struct rf_args *args, const char *command,
                         int status) {
  while (rf_args_at_option(args)) {
    enum rf_taken taken = rf_settings_take(settings, args, command);
    if (taken == RF_TAKEN_WRONG) return status;
    if (taken == RF_NOT_TAKEN) return rf_args_unknown(args, status, command, known, true);
  }
  rf_args_dashes(args);
  if (args->next >= args->argc)
    return rf_fail(status, "%s: no program given; should be: refunc %s [options] -- CMD", command, command);
  if (rf_settings_load(settings)) return status;
  return RF_OK;
}
