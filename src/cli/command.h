/*
 * The tool's commands: one file each, in one table (main.c). What they share: reading arguments, failing, and
 * the settings that run, check and config take.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct rf_command {
  const char *name, *usage, *summary;
  const char *help;                  /* more lines for --help; may be NULL */
  bool settings;                     /* takes options of the table as --key value */
  bool internal;                     /* not listed: used by the library and by scripts */
  int (*run)(int argc, char **argv); /* argv[0] is the command's name; the exit status */
};

extern const struct rf_command rf_command_run, rf_command_report, rf_command_compare, rf_command_check,
    rf_command_doctor, rf_command_config, rf_command_top, rf_command_trace, rf_command_history,
    rf_command_help, rf_command_describe;
/* All commands, in the order of the help; NULL at the end. */
extern const struct rf_command *const rf_commands[];
const struct rf_command *rf_command_find(const char *name);

/* Exit statuses. */
enum { RF_OK = 0, RF_NO = 1, RF_UNUSABLE = 2, RF_FAILED = 125, RF_NOT_EXECUTABLE = 126, RF_NOT_FOUND = 127 };

/* One line on stderr, "refunc: ..."; gives status back, to be returned. */
int rf_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A variable of the tool's environment, or NULL. Options are read by base/options alone; this is for what
 * belongs to the user and the terminal: PATH, HOME, TERM, NO_COLOR. */
const char *rf_variable(const char *name);

/* A share that may be tolerated, 25% or 0.25: RF_OK, or RF_UNUSABLE and said. */
int rf_tolerance(const char *value, double *tolerance, const char *command);

/* --- arguments --- */

struct rf_args {
  int argc, next;
  char **argv;
};

struct rf_args rf_args_begin(int argc, char **argv);
/* The next argument is an option (not "-" alone, not "--"). */
bool rf_args_at_option(const struct rf_args *args);
/* Takes --name; true when it was there. */
bool rf_args_flag(struct rf_args *args, const char *name);
/* Takes --name VALUE or --name=VALUE. *value is NULL when nothing follows. */
bool rf_args_value(struct rf_args *args, const char *name, const char **value);
/* Takes "--" when it is next. */
bool rf_args_dashes(struct rf_args *args);
/* The option that nobody took: says so, with the nearest of the known ones (NULL-terminated; settings: keys
 * of the option table too). Gives status back. */
int rf_args_unknown(const struct rf_args *args, int status, const char *command, const char *const *known,
                    bool settings);
/* "needs a value" for the option before; gives status back. */
int rf_args_no_value(const struct rf_args *args, int status, const char *command);
