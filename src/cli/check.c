/*
 * refunc check: what would be timed. CMD is loaded with REFUNC__CHECK=1, by which the library plans
 * everything, writes its recording and ends the process before CMD's main runs; modules that CMD opens later
 * are therefore not seen.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/launch.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/settings.h"
#include "report/load.h"

/* --- showing --- */

static void add_timed(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  size_t name = 20;
  for (size_t i = 0; i < report->functions; i++) {
    size_t columns = rf_text_columns(report->function[i].name, style);
    name = columns > name ? columns : name;
  }
  if (name > (size_t)style->width - 30) name = (size_t)style->width - 30;
  for (size_t i = 0; i < report->functions; i++) {
    rf_buffer_text(out, "  ");
    rf_add_padded(out, report->function[i].name, name, false, style);
    rf_buffer_text(out, "  ");
    rf_add_text(out, report->function[i].module, 26, style);
    if (report->function[i].by_slots) rf_buffer_text(out, "  (calls from other modules)");
    rf_buffer_char(out, '\n');
  }
}

static int by_reason(const void *left, const void *right) {
  const struct rf_report_skipped *a = left, *b = right;
  int reasons = strcmp(a->reason, b->reason);
  return reasons ? reasons : strcmp(a->name, b->name);
}

static void add_skipped(struct rf_buffer *out, struct rf_report *report, const struct rf_style *style) {
  if (report->skips) qsort(report->skipped, report->skips, sizeof *report->skipped, by_reason);
  for (size_t i = 0; i < report->skips; i++) {
    const struct rf_report_skipped *s = &report->skipped[i];
    if (i == 0 || strcmp(s->reason, s[-1].reason) != 0) {
      rf_buffer_text(out, "  ");
      rf_add_text(out, s->reason, (size_t)style->width - 3, style);
      rf_buffer_text(out, ":\n");
    }
    rf_buffer_text(out, "    ");
    rf_add_text(out, s->name, (size_t)style->width - 34, style);
    rf_buffer_text(out, "  ");
    rf_add_text(out, s->module, 26, style);
    rf_buffer_char(out, '\n');
  }
}

static void add_unmatched(struct rf_buffer *out, const struct rf_report *report,
                          const struct rf_style *style) {
  for (size_t i = 0; i < report->unmatches; i++) {
    const struct rf_report_unmatched *u = &report->unmatched[i];
    rf_buffer_text(out, "  ");
    rf_add_text(out, u->pattern, 40, style);
    rf_buffer_text(out, ": ");
    rf_add_text(out, strcmp(u->reason, "none") == 0 || !*u->reason ? "matches nothing" : u->reason, 50,
                style);
    rf_buffer_char(out, '\n');
    for (const char *at = u->nearest; *at;) {
      size_t length = strcspn(at, "\n");
      char name[512];
      snprintf(name, sizeof name, "%.*s", (int)(length < 500 ? length : 500), at);
      rf_buffer_text(out, "    did you mean ");
      rf_add_text(out, name, (size_t)style->width - 20, style);
      rf_buffer_text(out, "?\n");
      at += length + (at[length] == '\n');
    }
  }
}

static int show(struct rf_report *report) {
  struct rf_style style = rf_style_of(STDOUT_FILENO, false);
  struct rf_buffer out = {0};
  rf_buffer_printf(&out, "%zu function%s would be timed%s\n", report->functions,
                   report->functions == 1 ? "" : "s", report->functions ? ":" : "");
  add_timed(&out, report, &style);
  if (report->skips) rf_buffer_printf(&out, "\n%zu match and would not be timed:\n", report->skips);
  add_skipped(&out, report, &style);
  if (report->unmatches)
    rf_buffer_printf(&out, "\n%zu pattern%s without a match:\n", report->unmatches,
                     report->unmatches == 1 ? "" : "s");
  add_unmatched(&out, report, &style);
  rf_write_all(STDOUT_FILENO, out.bytes, out.length, -1);
  rf_buffer_free(&out);
  return report->functions || report->skips ? RF_OK : RF_NO;
}

/* --- running --- */

static void remove_folder(const char *folder) {
  char pattern[4200];
  glob_t found;
  snprintf(pattern, sizeof pattern, "%s/*", folder);
  if (glob(pattern, 0, NULL, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; i++) unlink(found.gl_pathv[i]);
    globfree(&found);
  }
  rmdir(folder);
}

static int look(const char *folder, const struct rf_program *program, int wait_status) {
  struct rf_recordings recordings = {0};
  char error[1024];
  if (!rf_recordings_add(&recordings, folder, error, sizeof error)) {
    if (WIFSIGNALED(wait_status))
      return rf_fail(RF_UNUSABLE, "check: signal %d ended %s while it was loaded", WTERMSIG(wait_status),
                     program->loaded);
    return rf_fail(RF_UNUSABLE,
                   "check: the library was not loaded into %s, or gave up (--log debug says more)",
                   program->loaded);
  }
  struct rf_report *report = rf_report_build(recordings.reader, recordings.count);
  int status = show(report);
  rf_report_free(report);
  rf_recordings_close(&recordings);
  return status;
}

/* Its recording goes to a folder of its own, whatever the options say about recordings and reports. */
static int check_in(const char *folder, struct rf_settings *settings, const struct rf_program *program,
                    char *const *argv) {
  char output[4096];
  struct rf_ending ending;
  snprintf(output, sizeof output, "%s/check.rfn", folder);
  if (!rf_settings_export(settings) || setenv("REFUNC_OUTPUT", output, 1) < 0 ||
      setenv("REFUNC_REPORT", "none", 1) < 0)
    return rf_fail(RF_UNUSABLE, "out of memory");
  const struct rf_launch launch = {.program = program->path,
                                   .argv = argv,
                                   .preload = program->preload,
                                   .run_dir = folder,
                                   .extra = "REFUNC__CHECK=1"};
  if (!rf_launch(&launch, &ending)) return RF_UNUSABLE;
  if (ending.failure) {
    rf_exit_status(&launch, &ending); /* says why */
    return RF_UNUSABLE;
  }
  return look(folder, program, ending.status);
}

static int check(struct rf_settings *settings, const struct rf_program *program, char *const *argv) {
  const char *temporary = rf_variable("TMPDIR");
  char folder[4096];
  if (!rf_option_on(settings->options, RF_OPT_ENABLED))
    return rf_fail(RF_UNUSABLE, "check: refunc.enabled is off: nothing would be timed");
  /* A program that is passed through would simply run, which is what check promises not to let happen. */
  const char *passed = rf_passed_through(settings->options, program->loaded);
  if (passed)
    return rf_fail(RF_UNUSABLE,
                   "check: %s is passed through and not recorded (%s); name the program that it starts, or "
                   "--include '%s'",
                   program->loaded, passed, rf_base_name(program->loaded));
  snprintf(folder, sizeof folder, "%s/refunc-check-XXXXXX",
           temporary && *temporary == '/' ? temporary : "/tmp");
  if (!mkdtemp(folder)) return rf_fail(RF_UNUSABLE, "check: %s: %m", folder);
  int status = check_in(folder, settings, program, argv);
  remove_folder(folder);
  return status;
}

static int run_check(int argc, char **argv) {
  struct rf_settings settings = {0};
  struct rf_args args = rf_args_begin(argc, argv);
  struct rf_program program;
  int status = rf_program_arguments(&settings, &args, "check", RF_UNUSABLE);
  if (status == RF_OK) status = rf_program_find(&program, argv[args.next]) == RF_OK ? RF_OK : RF_UNUSABLE;
  if (status == RF_OK) status = check(&settings, &program, argv + args.next);
  rf_settings_free(&settings);
  return status;
}

const struct rf_command rf_command_check = {
    .name = "check",
    .usage = "[options] -- CMD [ARGUMENT...]",
    .summary = "which functions match, which would be timed, which not and why, without running CMD",
    .help = "CMD is loaded but its main doesn't run; modules that it would open later are not seen.\n\n"
            "Exit status: 0, 1 when nothing matches, 2 when an option is wrong or CMD can't be preloaded.\n",
    .settings = true,
    .run = run_check};
