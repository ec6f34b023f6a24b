/* refunc run: CMD with the library preloaded, and the report of its whole process tree. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/launch.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/settings.h"
#include "cli/tree.h"
#include "recording/place.h"

/* --- why nothing was recorded --- */

static void explain_silence(const struct rf_settings *settings, const struct rf_program *program) {
  const char *passed = rf_passed_through(settings->options, program->loaded);
  if (!rf_option_on(settings->options, RF_OPT_ENABLED))
    rf_fail(0, "refunc.enabled is off: nothing was recorded");
  else if (passed)
    rf_fail(0,
            "%s is passed through and not recorded (%s), and it started nothing that is; --include '%s' "
            "records it",
            program->loaded, passed, rf_base_name(program->loaded));
  else
    rf_fail(0,
            "no recording appeared: the library was not loaded into %s, or gave up (--log debug says more)",
            program->loaded);
}

/* --- the report --- */

static const char *expand_target(const char *target, char *path, size_t size,
                                 const struct rf_program *program, pid_t pid) {
  char directory[4096] = "/", host[256] = "";
  if (strcmp(target, "stderr") == 0 || strcmp(target, "none") == 0) return target;
  if (!getcwd(directory, sizeof directory)) snprintf(directory, sizeof directory, "/");
  gethostname(host, sizeof host - 1);
  const struct rf_place_facts facts = {.executable = rf_base_name(program->loaded),
                                       .pid = (uint32_t)pid,
                                       .hostname = host,
                                       .start_realtime_ns = program->started_realtime_ns,
                                       .root_dir = directory,
                                       .rank = rf_place_rank(environ)};
  return rf_place_expand(path, size, target, &facts) == 0 ? path : NULL;
}

static void deliver(const struct rf_settings *settings, const struct rf_recordings *recordings,
                    const struct rf_program *program, pid_t pid) {
  char path[4096];
  const char *asked = rf_option_text(settings->options, RF_OPT_REPORT);
  if (strstr(asked, "%p")) return; /* every process writes its own */
  const char *target = expand_target(asked, path, sizeof path, program, pid);
  if (!target) {
    rf_fail(0, "refunc.report %s: should be stderr, none, or a pattern ending in .txt or .json", asked);
    return;
  }
  struct rf_report *report = rf_report_build(recordings->reader, recordings->count);
  if (!rf_deliver(report, target, STDERR_FILENO) && target == path) rf_fail(0, "refunc.report %s: %m", path);
  rf_report_free(report);
}

static void report_tree(const struct rf_settings *settings, const struct rf_tree *tree,
                        const struct rf_program *program, const struct rf_ending *ending) {
  struct rf_recordings recordings = {0};
  if (ending->failure || tree->in_memory) return;
  rf_tree_note_end(tree, ending->pid, ending->status);
  if (rf_tree_open(tree, &recordings))
    deliver(settings, &recordings, program, ending->pid);
  else
    explain_silence(settings, program);
  rf_recordings_close(&recordings);
}

/* --- the command --- */

static int start(struct rf_settings *settings, const struct rf_program *program, char *const *argv) {
  struct rf_tree tree;
  struct rf_ending ending;
  if (!rf_tree_prepare(&tree, settings->options, program->path)) return RF_FAILED;
  if (!rf_settings_export(settings)) return rf_fail(RF_FAILED, "out of memory");
  const struct rf_launch launch = {.program = program->path,
                                   .argv = argv,
                                   .preload = program->preload,
                                   .run_dir = tree.run_dir,
                                   .child_is_root = tree.in_memory};
  if (!rf_launch(&launch, &ending)) return RF_FAILED;
  signal(SIGPIPE, SIG_IGN);
  report_tree(settings, &tree, program, &ending);
  rf_tree_finish(&tree);
  return rf_exit_status(&launch, &ending);
}

static int run_run(int argc, char **argv) {
  struct rf_settings settings = {0};
  struct rf_args args = rf_args_begin(argc, argv);
  struct rf_program program;
  int status = rf_program_arguments(&settings, &args, "run", RF_FAILED);
  if (status == RF_OK) status = rf_program_find(&program, argv[args.next]);
  if (status == RF_OK) status = start(&settings, &program, argv + args.next);
  rf_settings_free(&settings);
  return status;
}

const struct rf_command rf_command_run = {
    .name = "run",
    .usage = "[options] -- CMD [ARGUMENT...]",
    .summary = "runs CMD with the library preloaded and prints the report of its process tree",
    .help = "CMD behaves as without Refunc: same output, same exit status, same signals. A static, 32-bit, "
            "setuid or musl program\n"
            "can't be preloaded; that is said and it is not started. Wrong options are refused, too.\n\n"
            "Exit status: CMD's own, 128+N when signal N ended it; 125 refunc itself failed, 126 CMD can't "
            "be executed,\n"
            "127 there is no CMD.\n",
    .settings = true,
    .run = run_run};
