/* See tree.h. */
#include "cli/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/command.h"
#include "recording/place.h"
#include "recording/process.h"
#include "recording/reader.h"
#include "recording/runs.h"

static int64_t clock_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* --- before --- */

static bool make_run_dir(struct rf_tree *tree, const struct rf_place_facts *facts) {
  int problem = rf_place_run_dir(tree->run_dir, sizeof tree->run_dir, facts);
  if (problem == 0) problem = rf_place_make_parents(tree->run_dir, 0700);
  if (problem == 0 && mkdir(tree->run_dir, 0700) < 0) problem = -errno;
  if (problem == 0) {
    rf_place_state(tree->state, sizeof tree->state, facts->home, facts->state_home);
    return true;
  }
  const char *temporary = rf_variable("TMPDIR");
  snprintf(tree->run_dir, sizeof tree->run_dir, "%s/refunc-XXXXXX",
           temporary && *temporary == '/' ? temporary : "/tmp");
  if (!mkdtemp(tree->run_dir)) return rf_fail(0, "%s: %m", tree->run_dir) != 0;
  rf_fail(0, "no folder for runs (%s: %s), so this one goes to %s",
          *tree->state ? tree->state : "neither XDG_STATE_HOME nor HOME is usable", strerror(-problem),
          tree->run_dir);
  return true;
}

/* Every %x of the pattern could be anything; what is not of this tree is told apart by its header. */
static void glob_of_pattern(char *out, size_t size, const char *pattern, const char *directory) {
  size_t n = 0;
  if (*pattern != '/') n = (size_t)snprintf(out, size, "%s/", directory);
  for (; *pattern && n + 3 < size; pattern++) {
    if (pattern[0] == '%' && pattern[1] == '%') {
      out[n++] = '%';
      pattern++;
    } else if (pattern[0] == '%' && pattern[1]) {
      out[n++] = '*';
      pattern++;
    } else {
      if (strchr("*?[\\", *pattern)) out[n++] = '\\';
      out[n++] = *pattern;
    }
  }
  out[n] = 0;
}

/* "a/%p.rfn" may have become a/12.2.rfn: the number stands before the ending. */
static void allow_numbers(char *pattern, size_t size) {
  char *slash = strrchr(pattern, '/'), *dot = strrchr(slash ? slash : pattern, '.');
  size_t length = strlen(pattern);
  if (length + 2 > size) return;
  char *at = dot ? dot : pattern + length;
  memmove(at + 1, at, strlen(at) + 1);
  *at = '*';
}

bool rf_tree_prepare(struct rf_tree *tree, const struct rf_options *options, const char *program) {
  const char *output = rf_option_text(options, RF_OPT_OUTPUT), *slash = strrchr(program, '/');
  char directory[4096] = "/", host[256] = "";
  *tree = (struct rf_tree){.started_ns = clock_ns(CLOCK_MONOTONIC)};
  tree->in_memory = strcmp(output, "none") == 0;
  if (tree->in_memory) return true;
  if (!getcwd(directory, sizeof directory)) snprintf(directory, sizeof directory, "/");
  gethostname(host, sizeof host - 1);
  const struct rf_place_facts facts = {.executable = slash ? slash + 1 : program,
                                       .pid = (uint32_t)getpid(),
                                       .hostname = host,
                                       .start_realtime_ns = clock_ns(CLOCK_REALTIME),
                                       .root_dir = directory,
                                       .home = rf_variable("HOME"),
                                       .state_home = rf_variable("XDG_STATE_HOME")};
  if (strcmp(output, "auto") == 0) return make_run_dir(tree, &facts);
  glob_of_pattern(tree->pattern, sizeof tree->pattern - 2, output, directory);
  allow_numbers(tree->pattern, sizeof tree->pattern);
  return true;
}

/* --- after --- */

/* Files that a pattern may lead to, but that an earlier run wrote, are no business of this one. */
static bool of_this_tree(const struct rf_tree *tree, const char *path) {
  struct stat status;
  char error[512];
  struct rf_reader *reader =
      stat(path, &status) == 0 && S_ISREG(status.st_mode) ? rf_reader_open(path, error, sizeof error) : NULL;
  if (!reader) return false;
  const struct rf_header *header = rf_reader_header(reader);
  int64_t started_ns =
      header->start_monotonic_ns - header->monotonic_offset_ns + rf_process_time_offsets().monotonic_ns;
  bool ours = started_ns >= tree->started_ns && header->uid == getuid();
  rf_reader_close(reader);
  return ours;
}

static void open_by_pattern(const struct rf_tree *tree, struct rf_recordings *recordings) {
  glob_t found;
  if (glob(tree->pattern, GLOB_NOSORT, NULL, &found) != 0) return;
  for (size_t i = 0; i < found.gl_pathc; i++)
    if (of_this_tree(tree, found.gl_pathv[i]))
      rf_recordings_add(recordings, found.gl_pathv[i], recordings->note, sizeof recordings->note);
  globfree(&found);
}

size_t rf_tree_open(const struct rf_tree *tree, struct rf_recordings *recordings) {
  char ignored[512];
  if (*tree->run_dir)
    rf_recordings_add(recordings, tree->run_dir, ignored, sizeof ignored);
  else if (*tree->pattern)
    open_by_pattern(tree, recordings);
  return recordings->count;
}

static void note_one(const char *path, pid_t pid, int wait_status) {
  char error[512];
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  if (!reader) return;
  bool wanted = rf_reader_header(reader)->pid == (uint32_t)pid &&
                rf_reader_header(reader)->exit_kind == RF_EXIT_RUNNING;
  rf_reader_close(reader);
  if (!wanted) return;
  rf_recording_complete(path);
  if (WIFSIGNALED(wait_status))
    rf_recording_note_exit(path, RF_EXIT_SIGNALED, WTERMSIG(wait_status));
  else
    rf_recording_note_exit(path, RF_EXIT_EXITED, WEXITSTATUS(wait_status));
}

void rf_tree_note_end(const struct rf_tree *tree, pid_t pid, int wait_status) {
  char pattern[4200];
  glob_t found;
  if (*tree->run_dir)
    snprintf(pattern, sizeof pattern, "%s/*.rfn", tree->run_dir);
  else
    snprintf(pattern, sizeof pattern, "%s", tree->pattern);
  if (!*pattern || glob(pattern, 0, NULL, &found) != 0) return;
  for (size_t i = 0; i < found.gl_pathc; i++)
    if (*tree->run_dir || of_this_tree(tree, found.gl_pathv[i]))
      note_one(found.gl_pathv[i], pid, wait_status);
  globfree(&found);
}

void rf_tree_finish(const struct rf_tree *tree) {
  if (*tree->run_dir) rmdir(tree->run_dir); /* goes only when nothing was recorded */
  if (*tree->state) rf_runs_prune(tree->state, RF_RUNS_KEPT);
}
