/* refunc top: the report of a running process, again and again. It reads the recording; the process isn't
 * touched. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/render.h"
#include "recording/reader.h"
#include "report/model.h"

struct request {
  double interval_s;
  long count; /* 0: until the process has ended */
};

static volatile sig_atomic_t stopped;

static void stop(int number) {
  (void)number;
  stopped = 1;
}

/* A number is a process, anything else a file. */
static int find_recording(const char *what, char *path, size_t size) {
  char *end;
  unsigned long pid = strtoul(what, &end, 10);
  if (!isdigit((unsigned char)*what) || *end) {
    snprintf(path, size, "%s", what);
    return RF_OK;
  }
  if (rf_recording_of_process((uint32_t)pid, rf_variable("XDG_RUNTIME_DIR"), path, size) == 0) return RF_OK;
  return rf_fail(RF_UNUSABLE,
                 "top: process %s is not recorded, or is not yours; start it with refunc run or the preload",
                 what);
}

/* Rows that leave room for what stands around the table. */
static size_t rows_of_terminal(void) {
  struct winsize size;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 24) return 8;
  return size.ws_row - 18u;
}

static bool show(struct rf_reader *reader, bool terminal) {
  struct rf_report *report = rf_report_build(&reader, 1);
  struct rf_style style = rf_style_of(STDOUT_FILENO, false);
  struct rf_buffer out = {0};
  if (terminal) rf_buffer_text(&out, "\033[H\033[2J");
  rf_render(&out, &report, 1, RF_FORMAT_TEXT, &style, terminal ? rows_of_terminal() : RF_ROWS);
  if (!terminal) rf_buffer_char(&out, '\n');
  bool done = rf_write_all(STDOUT_FILENO, out.bytes, out.length, -1);
  rf_buffer_free(&out);
  rf_report_free(report);
  return done;
}

static void pause_for(double seconds) {
  struct timespec time = {(time_t)seconds, (long)((seconds - floor(seconds)) * 1e9)};
  nanosleep(&time, NULL);
}

static int watch(const char *path, const struct request *request) {
  char error[1024];
  bool terminal = isatty(STDOUT_FILENO);
  for (long shown = 1; !stopped; shown++) {
    struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
    /* The live copy of a process that has ended goes away, so only the first look has to succeed. */
    if (!reader) return shown > 1 ? RF_OK : rf_fail(RF_UNUSABLE, "%s", error);
    bool alive = rf_reader_alive(reader), done = !show(reader, terminal);
    rf_reader_close(reader);
    if (!alive || done || shown == request->count) break;
    pause_for(request->interval_s);
  }
  return RF_OK;
}

static const char *const known[] = {"--interval", "--count", NULL};

static int take_option(struct request *request, struct rf_args *args) {
  const char *value;
  char *end = NULL;
  if (rf_args_value(args, "--interval", &value)) {
    if (!value) return rf_args_no_value(args, RF_UNUSABLE, "top");
    request->interval_s = strtod(value, &end);
    bool unit = *end == 's' && !end[1];
    if (end == value || (*end && !unit) || !(request->interval_s >= 0.05 && request->interval_s <= 3600))
      return rf_fail(RF_UNUSABLE, "top: --interval %s: should be seconds, from 0.05 to 3600", value);
    return RF_OK;
  }
  if (rf_args_value(args, "--count", &value)) {
    if (!value) return rf_args_no_value(args, RF_UNUSABLE, "top");
    request->count = strtol(value, &end, 10);
    if (*end || request->count < 1)
      return rf_fail(RF_UNUSABLE, "top: --count %s: should be a number from 1 on", value);
    return RF_OK;
  }
  return rf_args_unknown(args, RF_UNUSABLE, "top", known, false);
}

static int run_top(int argc, char **argv) {
  struct request request = {.interval_s = 1};
  struct rf_args args = rf_args_begin(argc, argv);
  struct sigaction action = {.sa_handler = stop};
  char path[4096];
  int status = RF_OK;
  while (status == RF_OK && rf_args_at_option(&args)) status = take_option(&request, &args);
  rf_args_dashes(&args);
  if (status == RF_OK && args.next + 1 != argc)
    status = rf_fail(RF_UNUSABLE, "top: one process or recording is needed; should be: refunc top PID|FILE");
  if (status == RF_OK) status = find_recording(argv[args.next], path, sizeof path);
  if (status != RF_OK) return status;
  signal(SIGPIPE, SIG_IGN);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  return watch(path, &request);
}

const struct rf_command rf_command_top = {.name = "top",
                                          .usage = "[--interval SECONDS] [--count N] PID|FILE",
                                          .summary =
                                              "a running process's report, refreshed until it has ended",
                                          .help = "  --interval SECONDS   between two looks (default: 1)\n"
                                                  "  --count N            looks, then the end\n\n"
                                                  "The process is not touched: its recording is read.\n\n"
                                                  "Exit status: 0, or 2 when there is no such recording.\n",
                                          .run = run_top};
