/* refunc COMMAND ...: finds the command and runs it. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/help.h"
#include "recording/reader.h"

const struct rf_command *const rf_commands[] = {
    &rf_command_run,    &rf_command_report, &rf_command_compare,  &rf_command_check,
    &rf_command_top,    &rf_command_trace,  &rf_command_history,  &rf_command_doctor,
    &rf_command_config, &rf_command_help,   &rf_command_describe, NULL,
};

static int unknown_command(const char *name) {
  const char *nearest = rf_help_nearest_command(name);
  if (nearest)
    return rf_fail(RF_UNUSABLE, "%s is no command; did you mean %s? (refunc --help lists them)", name,
                   nearest);
  return rf_fail(RF_UNUSABLE, "%s is no command (refunc --help lists them)", name);
}

/* --help counts only before "--" and before the program of run and check: behind that it belongs to the
 * program. */
static bool wants_help(int argc, char **argv) {
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    if (argv[i][0] != '-') return false;
  }
  return false;
}

/* What processes that were killed left in tmpfs goes to their outputs, whatever the command is about. */
static void sweep(void) {
  const char *runtime = rf_variable("XDG_RUNTIME_DIR");
  rf_recordings_sweep(NULL);
  if (runtime && *runtime == '/') rf_recordings_sweep(runtime);
}

int main(int argc, char **argv) {
  setlocale(LC_CTYPE, "");
  if (argc < 2) {
    rf_help_main(stderr);
    return RF_UNUSABLE;
  }
  const char *name = argv[1];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return rf_help_main(stdout);
  if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
    return printf("refunc %s\n", REFUNC_VERSION) < 0;
  if (strcmp(name, "--man") == 0) return rf_help_man(stdout);
  if (strcmp(name, "--completion") == 0) return rf_help_completion(stdout);
  const struct rf_command *command = rf_command_find(name);
  if (!command) return unknown_command(name);
  if (wants_help(argc - 1, argv + 1)) return rf_help_command(stdout, command);
  sweep();
  return command->run(argc - 1, argv + 1);
}
