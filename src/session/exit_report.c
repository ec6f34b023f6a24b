/* See exit_report.h. */
#include "session/exit_report.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "arch/arch.h"
#include "base/log.h"
#include "base/options.h"
#include "recording/place.h"
#include "recording/writer.h"
#include "session/tool.h"

#define DEADLINE_MS 10000

static bool ends_with(const char *text, const char *ending) {
  size_t length = strlen(text), tail = strlen(ending);
  return length >= tail && !strcmp(text + length - tail, ending);
}

/* What the report is about: the run's folder when this is its root, else this process's recording. */
static const char *source_of(const struct rf_exit_report *report) {
  bool folder = report->is_root && report->run_dir[0];
  return folder ? report->run_dir : rf_recording_path();
}

static void report_to_stderr(const struct rf_exit_report *report, const char *source) {
  char fd[16];
  snprintf(fd, sizeof fd, "%d", rf_log_fd());
  const char *arguments[] = {rf_tool_path(), "report", "--to-fd", fd, "--prefix", "refunc: ", source, NULL};
  if (rf_log_fd() < 0) return;
  rf_syscall(SYS_fcntl, rf_log_fd(), F_SETFD, 0);
  rf_tool_run(arguments, report->environment, DEADLINE_MS);
  rf_syscall(SYS_fcntl, rf_log_fd(), F_SETFD, FD_CLOEXEC);
}

static void report_to_file(const struct rf_exit_report *report, const char *pattern, const char *source) {
  char path[1024];
  if (rf_place_expand(path, sizeof path, pattern, report->facts) != 0) {
    rf_log(RF_LOG_ERROR, "refunc.report: '%s' gives no usable path", pattern);
    return;
  }
  const char *format = ends_with(pattern, ".json") ? "json" : "text";
  const char *arguments[] = {rf_tool_path(), "report", "--format", format, "--output", path, source, NULL};
  rf_tool_run(arguments, report->environment, DEADLINE_MS);
}

void rf_exit_report(const struct rf_exit_report *report) {
  const char *where = rf_option_text(report->options, RF_OPT_REPORT);
  bool own = strstr(where, "%p") != NULL; /* a pattern with %p: every process writes its own */
  const char *source = own ? rf_recording_path() : source_of(report);
  if (!strcmp(where, "none") || (!report->is_root && !own)) return;
  if (!source[0]) {
    rf_log(RF_LOG_WARN, "no report: the recording has neither a file nor a place in /dev/shm");
    return;
  }
  if (!rf_tool_path()) {
    rf_log(RF_LOG_WARN, "no report: the tool 'refunc' was not found beside the library; the recording is %s",
           source);
    return;
  }
  if (!strcmp(where, "stderr"))
    report_to_stderr(report, source);
  else
    report_to_file(report, where, source);
}
