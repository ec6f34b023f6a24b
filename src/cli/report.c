/*
 * refunc report: renders recordings. The same command, with --to-fd, is the helper that the library starts at
 * the exit of a root process, so that rendering costs the app no code of its own:
 *
 *   library at exit ──spawns──▶ refunc report --to-fd 7 RECORDING ──writes──▶ the duplicate of stderr
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/render.h"
#include "cli/runs.h"
#include "recording/place.h"
#include "recording/reader.h"
#include "recording/runs.h"
#include "report/load.h"

#define HELPER_DEADLINE_MS 5000

struct request {
  enum rf_format format;
  bool per_process, all;
  const char *output; /* NULL: standard output */
  int to_fd;          /* -1: none */
  const char *prefix; /* of lines there, unless it is a terminal */
};

bool rf_newest_run(char *path, size_t size, char *error, size_t error_bytes) {
  char state[4096];
  if (rf_place_state(state, sizeof state, rf_variable("HOME"), rf_variable("XDG_STATE_HOME")) < 0) {
    snprintf(error, error_bytes,
             "neither XDG_STATE_HOME nor HOME is set, so there is no folder of runs; name a recording");
    return false;
  }
  if (rf_runs_newest(state, path, size) == 0) return true;
  snprintf(error, error_bytes, "no run in %s yet; name a recording, or make one: refunc run -- CMD", state);
  return false;
}

/* --- arguments --- */

static const char *const known[] = {"--format", "--per-process", "--all", "--output",
                                    "--to-fd",  "--prefix",      NULL};

static int bad_descriptor(const char *value) {
  return rf_fail(RF_UNUSABLE, "report: --to-fd %s: should be an open file descriptor", value);
}

static int take_option(struct request *request, struct rf_args *args) {
  const char *value = "";
  if (rf_args_flag(args, "--per-process")) {
    request->per_process = true;
  } else if (rf_args_flag(args, "--all")) {
    request->all = true;
  } else if (rf_args_value(args, "--format", &value)) {
    if (value && (request->format = rf_format_named(value)) == RF_FORMAT_UNKNOWN) return RF_UNUSABLE;
  } else if (rf_args_value(args, "--output", &value)) {
    request->output = value;
  } else if (rf_args_value(args, "--prefix", &value)) {
    request->prefix = value;
  } else if (rf_args_value(args, "--to-fd", &value)) {
    char *end = NULL;
    request->to_fd = value ? (int)strtol(value, &end, 10) : -1;
    if (value && (request->to_fd < 0 || *end || !*value)) return bad_descriptor(value);
  } else {
    return rf_args_unknown(args, RF_UNUSABLE, "report", known, false);
  }
  return value ? RF_OK : rf_args_no_value(args, RF_UNUSABLE, "report");
}

/* --- inputs --- */

static int open_newest(struct rf_recordings *recordings) {
  char path[4096], error[1024];
  if (!rf_newest_run(path, sizeof path, error, sizeof error) ||
      !rf_recordings_add(recordings, path, error, sizeof error))
    return rf_fail(RF_UNUSABLE, "%s", error);
  return RF_OK;
}

static int open_inputs(struct rf_recordings *recordings, const struct rf_args *args) {
  char error[1024];
  if (args->next == args->argc) return open_newest(recordings);
  for (int i = args->next; i < args->argc; i++)
    if (!rf_recordings_add(recordings, args->argv[i], error, sizeof error))
      return rf_fail(RF_UNUSABLE, "%s", error);
  return RF_OK;
}

static void warn_of_damage(const struct rf_recordings *recordings) {
  for (size_t i = 0; i < recordings->count; i++)
    if (rf_reader_truncated(recordings->reader[i]))
      rf_fail(0, "%s is truncated or damaged: what can be read of it is shown",
              rf_reader_path(recordings->reader[i]));
  if (recordings->unreadable)
    rf_fail(0, "%zu more recordings could not be read; the last: %s", recordings->unreadable,
            recordings->note);
}

/* --- output --- */

static int write_out(const struct request *request, const struct rf_buffer *out) {
  bool done;
  if (request->to_fd >= 0)
    done = rf_write_marked(request->to_fd, request->prefix, out->bytes, out->length, HELPER_DEADLINE_MS);
  else if (request->output)
    done = rf_write_file(request->output, out->bytes, out->length);
  else
    done = rf_write_all(STDOUT_FILENO, out->bytes, out->length, -1);
  if (done || (errno == EPIPE && !request->output)) return RF_OK;
  if (request->to_fd >= 0) return RF_UNUSABLE; /* nobody to tell */
  return rf_fail(RF_UNUSABLE, "%s: %m", request->output ? request->output : "standard output");
}

static struct rf_style style_for(const struct request *request) {
  if (request->output) return (struct rf_style){.unicode = true, .width = 100};
  return rf_style_of(request->to_fd >= 0 ? request->to_fd : STDOUT_FILENO, request->to_fd >= 0);
}

static int render(const struct request *request, const struct rf_recordings *recordings) {
  size_t count = request->per_process ? recordings->count : 1;
  struct rf_report **reports = calloc(count, sizeof(struct rf_report *));
  struct rf_buffer out = {0};
  struct rf_style style = style_for(request);
  if (!reports) return rf_fail(RF_UNUSABLE, "out of memory");
  for (size_t i = 0; i < count; i++)
    reports[i] = rf_report_build(recordings->reader + i, request->per_process ? 1 : recordings->count);
  rf_render(&out, reports, count, request->format, &style, request->all ? 0 : RF_ROWS);
  int status = write_out(request, &out);
  for (size_t i = 0; i < count; i++) rf_report_free(reports[i]);
  free(reports);
  rf_buffer_free(&out);
  return status;
}

static int run_report(int argc, char **argv) {
  struct request request = {.to_fd = -1, .prefix = "refunc: "};
  struct rf_args args = rf_args_begin(argc, argv);
  struct rf_recordings recordings = {0};
  int status = RF_OK;
  signal(SIGPIPE, SIG_IGN);
  while (status == RF_OK && rf_args_at_option(&args)) status = take_option(&request, &args);
  rf_args_dashes(&args);
  if (status == RF_OK) status = open_inputs(&recordings, &args);
  if (status == RF_OK) {
    if (request.to_fd < 0) warn_of_damage(&recordings);
    status = render(&request, &recordings);
  }
  rf_recordings_close(&recordings);
  return status;
}

const struct rf_command rf_command_report = {
    .name = "report",
    .usage = "[--format text|json|csv|openmetrics|folded|pprof] [--per-process] [--all] [--output FILE] "
             "[FILE|DIR...]",
    .summary = "renders recordings: the newest run, or those named",
    .help =
        "  --format FORMAT   text (default), json (schema refunc-report/1), csv (functions), openmetrics,\n"
        "                    folded (allocation stacks and bytes), pprof (allocation sites, gzipped)\n"
        "  --per-process     each process by itself; otherwise several are merged\n"
        "  --all             every function in the text's table\n"
        "  --output FILE     there instead of standard output\n"
        "  --to-fd N         internal: to that descriptor, each line behind \"refunc: \" unless it is a "
        "terminal\n\n"
        "A folder stands for all recordings (*.rfn) in it. Recordings of running processes show how things "
        "stand; what a\n"
        "killed process left is completed. A damaged one is shown as far as it can be read, with a "
        "warning.\n\n"
        "Exit status: 0, or 2 when something could not be read or written.\n",
    .run = run_report};
