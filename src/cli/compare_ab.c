/* See compare_ab.h. */
#include "cli/compare_ab.h"

#include <string.h>

#include "cli/launch.h"
#include "cli/program.h"
#include "cli/tree.h"

static int usage(void) {
  return rf_fail(RF_UNUSABLE, "compare: should be: refunc compare --ab N [options] -- CMD_A -- CMD_B");
}

/* One run; its recordings are read into a report and the folder is kept as any run's. */
static int run_once(struct rf_settings *settings, const struct rf_program *program, char *const *argv,
                    struct rf_report **report) {
  struct rf_tree tree;
  struct rf_ending ending;
  struct rf_recordings recordings = {0};
  if (!rf_tree_prepare(&tree, settings->options, program->path)) return RF_UNUSABLE;
  const struct rf_launch launch = {
      .program = program->path, .argv = argv, .preload = program->preload, .run_dir = tree.run_dir};
  if (!rf_launch(&launch, &ending)) return RF_UNUSABLE;
  int status = rf_exit_status(&launch, &ending);
  rf_tree_note_end(&tree, ending.pid, ending.status);
  bool recorded = rf_tree_open(&tree, &recordings);
  if (recorded) *report = rf_report_build(recordings.reader, recordings.count);
  rf_recordings_close(&recordings);
  rf_tree_finish(&tree);
  if (status)
    return rf_fail(RF_UNUSABLE, "compare: %s ended with status %d, so it can't be compared", argv[0], status);
  return recorded ? RF_OK : rf_fail(RF_UNUSABLE, "compare: %s was not recorded", argv[0]);
}

static int prepare(struct rf_settings *settings, char **a, char **b, struct rf_program *programs) {
  if (rf_settings_load(settings)) return RF_UNUSABLE;
  if (strcmp(rf_option_text(settings->options, RF_OPT_OUTPUT), "none") == 0)
    return rf_fail(RF_UNUSABLE, "compare: refunc.output is none, so there is nothing to compare");
  if (rf_program_find(&programs[0], *a) != RF_OK || rf_program_find(&programs[1], *b) != RF_OK)
    return RF_UNUSABLE;
  return rf_settings_export(settings) ? RF_OK : rf_fail(RF_UNUSABLE, "out of memory");
}

int rf_compare_ab(struct rf_settings *settings, struct rf_args *args, long rounds, struct rf_report **base,
                  struct rf_report **fresh) {
  struct rf_program programs[2];
  if (!rf_args_dashes(args)) return usage();
  char **a = args->argv + args->next, **b = a;
  while (*b && strcmp(*b, "--") != 0) b++;
  if (b == a || !*b || !b[1]) return usage();
  *b++ = NULL;
  int status = prepare(settings, a, b, programs);
  for (long i = 0; i < rounds && status == RF_OK; i++) {
    bool swapped = i % 2; /* A B B A A B ...: neither always goes first */
    status = swapped ? run_once(settings, &programs[1], b, &fresh[i])
                     : run_once(settings, &programs[0], a, &base[i]);
    if (status != RF_OK) break;
    status = swapped ? run_once(settings, &programs[0], a, &base[i])
                     : run_once(settings, &programs[1], b, &fresh[i]);
  }
  return status;
}
