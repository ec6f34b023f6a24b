/* Names of recordings, kept runs, and whose child a process is. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/log.h"
#include "recording/ancestry.h"
#include "recording/live.h"
#include "recording/place.h"
#include "recording/process.h"
#include "recording/runs.h"
#include "recording/writer.h"
#include "recording_sample.h"

static char path[1024];

static struct rf_place_facts facts(void) {
  return (struct rf_place_facts){.executable = "app",
                                 .pid = 1234,
                                 .hostname = "node7",
                                 .start_realtime_ns = INT64_C(1795671930123456789),
                                 .root_dir = "/data/run",
                                 .home = "/home/someone",
                                 .rank = "3"};
}

static const char *expanded(const char *pattern) {
  struct rf_place_facts f = facts();
  return rf_place_expand(path, sizeof path, pattern, &f) ? "refused" : path;
}

Test(place, patterns) {
  cr_expect_str_eq(expanded("/x/%e.%p.rfn"), "/x/app.1234.rfn");
  cr_expect_str_eq(expanded("out-%h-%r.rfn"), "/data/run/out-node7-3.rfn");
  cr_expect_str_eq(expanded("100%%.rfn"), "/data/run/100%.rfn");
  cr_expect_str_eq(expanded("%t"), "/data/run/20261126T054530.123Z");
  cr_expect_str_eq(expanded("%q"), "refused");
  cr_expect_str_eq(expanded("100%"), "refused");
}

Test(place, times_agree_with_the_c_library) {
  unsigned seed = 3;
  struct rf_place_facts f = facts();
  for (int i = 0; i < 20000; i++) {
    time_t when = (time_t)(((uint64_t)rand_r(&seed) << 2) % 7258118400u); /* to the year 2199 */
    char expected[64];
    struct tm parts;
    strftime(expected, sizeof expected, "/%Y%m%dT%H%M%S.007Z", gmtime_r(&when, &parts));
    f.start_realtime_ns = (int64_t)when * 1000000000 + 7999999;
    cr_assert_eq(rf_place_expand(path, sizeof path, "/%t", &f), 0);
    cr_assert_str_eq(path, expected);
  }
}

Test(place, hostile_facts_stay_one_component) {
  struct rf_place_facts f = facts();
  f.rank = "../../etc/passwd\n\x1b[2J";
  cr_assert_eq(rf_place_expand(path, sizeof path, "/r/%r.rfn", &f), 0);
  cr_expect_str_eq(path, "/r/.._.._etc_passwd__[2J.rfn");
}

Test(place, what_does_not_fit_is_refused) {
  struct rf_place_facts f = facts();
  for (size_t size = 1; size < 40; size++) {
    int result = rf_place_expand(path, size, "/x/%e.%p.%h", &f); /* 17 characters */
    cr_expect_eq(result, size >= 18 ? 0 : -ENAMETOOLONG);
    cr_expect_lt(strlen(path), size);
  }
}

Test(place, automatic_names) {
  struct rf_place_facts f = facts();
  char run[512];
  cr_assert_eq(rf_place_run_dir(run, sizeof run, &f), 0);
  cr_expect_str_eq(run, "/home/someone/.local/state/refunc/20261126T054530.123Z-app-1234");
  f.state_home = "/state";
  cr_assert_eq(rf_place_run_dir(run, sizeof run, &f), 0);
  cr_expect_str_eq(run, "/state/refunc/20261126T054530.123Z-app-1234");
  cr_assert_eq(rf_place_output(path, sizeof path, "auto", run, &f), 0);
  cr_expect_str_eq(path, "/state/refunc/20261126T054530.123Z-app-1234/app-1234.rfn");
  f.state_home = "relative", f.home = NULL;
  cr_expect_eq(rf_place_run_dir(run, sizeof run, &f), -ENOENT);
  cr_expect_eq(rf_place_output(path, sizeof path, "none", run, &f), 1);
  cr_expect_str_eq(path, "");
}

static const char *numbered(const char *wanted, unsigned number) {
  return rf_place_numbered(path, sizeof path, wanted, number) ? path : "refused";
}

Test(place, numbers_go_before_the_ending) {
  cr_expect_str_eq(numbered("/a/b.rfn", 1), "/a/b.rfn");
  cr_expect_str_eq(numbered("/a/b.rfn", 2), "/a/b.2.rfn");
  cr_expect_str_eq(numbered("/a.d/b", 3), "/a.d/b.3");
  cr_expect_str_eq(numbered("/a/.hidden", 2), "/a/.hidden.2");
  cr_expect_str_eq(numbered("/a/b.tar.gz", 12), "/a/b.tar.12.gz");
}

Test(place, ranks) {
  char *none[] = {"PMI_RANKS=7", "XPMI_RANK=8", "PMI_RANK=", NULL};
  char *some[] = {"SLURM_PROCID=5", "PMI_RANK=4", NULL};
  cr_expect_str_eq(rf_place_rank(none), "0");
  cr_expect_str_eq(rf_place_rank(some), "4");
  cr_expect_str_eq(rf_place_rank(NULL), "0");
}

/* ---- runs ---- */

static void make_run(const char *state, unsigned number, bool with_recording) {
  char name[600];
  snprintf(name, sizeof name, "%s/20261126T0545%02u.123Z-app-%u", state, number, number);
  mkdir(name, 0700);
  strcat(name, with_recording ? "/app.rfn" : "/report.txt");
  fclose(fopen(name, "w"));
}

static bool has_run(const char *state, unsigned number) {
  char name[600];
  snprintf(name, sizeof name, "%s/20261126T0545%02u.123Z-app-%u", state, number, number);
  return access(name, F_OK) == 0;
}

Test(runs, the_newest_are_kept) {
  char state[256], foreign[300], inside[700];
  fresh_folder(state);
  cr_expect_eq(rf_runs_newest(state, path, sizeof path), -ENOENT);
  snprintf(foreign, sizeof foreign, "%s/20261126-notes", state);
  mkdir(foreign, 0700);
  for (unsigned i = 0; i < 30; i++) make_run(state, (i * 7) % 30, true);
  snprintf(inside, sizeof inside, "%s/20261126T054502.123Z-app-2/of the user", state);
  mkdir(inside, 0700);
  make_run(state, 40, false);
  cr_expect_eq(rf_runs_newest(state, path, sizeof path), 0);
  cr_expect(strstr(path, "054529.123Z-app-29"), "%s", path);
  cr_expect_eq(rf_runs_prune(state, 20), 10, "31 runs, one of which can't go");
  for (unsigned i = 0; i < 30; i++) cr_expect_eq(has_run(state, i), i == 2 || i >= 11, "run %u", i);
  cr_expect_eq(access(foreign, F_OK), 0);
  cr_expect_eq(access(inside, F_OK), 0);
  remove_folder(state);
}

Test(runs, one_that_still_lives_stays) {
  char state[256], output[700];
  fresh_folder(state);
  rf_log_setup(-1, RF_LOG_ERROR, 0);
  for (unsigned i = 0; i < 5; i++) make_run(state, i, true);
  snprintf(output, sizeof output, "%s/20261126T054500.123Z-app-0/live.rfn", state);
  start_recording(output);
  cr_expect_eq(rf_runs_prune(state, 2), 2, "the newest two, and the one that lives");
  cr_expect(has_run(state, 0));
  cr_expect(has_run(state, 4));
  rf_recording_flush(true);
  cr_expect_eq(rf_runs_prune(state, 1), 2);
  cr_expect_not(has_run(state, 0));
  remove_folder(state);
}

/* ---- processes and their ancestors ---- */

Test(process, agrees_with_the_kernel) {
  struct rf_process own;
  cr_assert_eq(rf_process_read(0, &own), 0);
  cr_expect_eq(own.pid, (uint32_t)getpid());
  cr_expect_eq(own.parent, (uint32_t)getppid());
  cr_expect(rf_process_alive(own.pid, own.start_ticks));
  cr_expect_not(rf_process_alive(own.pid, own.start_ticks + 1), "a later process with that pid");
  pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
  cr_expect_not(rf_process_alive((uint32_t)child, 0), "a zombie has ended");
  waitpid(child, NULL, 0);
  cr_expect_not(rf_process_alive((uint32_t)child, 0));
}

Test(ancestry, names_of_live_copies) {
  uint32_t uid, pid;
  uint64_t ticks;
  cr_assert(rf_live_name(path, sizeof path, "/dev/shm", 1000, 42, 99));
  cr_expect_str_eq(path, "/dev/shm/refunc-1000-42-99");
  cr_assert(rf_live_parse("refunc-1000-42-99", &uid, &pid, &ticks));
  cr_expect(uid == 1000 && pid == 42 && ticks == 99);
  const char *const bad[] = {"refunc-",       "refunc-1-2",    "refunc-1-2-",           "refunc-1-2-3x",
                             "refunc--1-2-3", "xrefunc-1-2-3", "refunc-99999999999-2-3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_expect_not(rf_live_parse(bad[i], &uid, &pid, &ticks));
}

Test(ancestry, the_override) {
  struct rf_ancestry a = {.is_root = true};
  char own[64];
  cr_expect(rf_ancestry_parse("/state/a:b:77", &a));
  cr_expect_str_eq(a.run_dir, "/state/a:b");
  cr_expect_eq(a.root_pid, 77);
  cr_expect_not(a.is_root);
  snprintf(own, sizeof own, ":%d", getpid());
  cr_expect(rf_ancestry_parse(own, &a));
  cr_expect(a.is_root);
  cr_expect_str_eq(a.run_dir, "");
  const char *const bad[] = {"", "/x", "/x:", "/x:12a", "relative:5", ":99999999999"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_expect_not(rf_ancestry_parse(bad[i], &a));
}

/* The exit status of a process depth generations below this one, each but the last unrecorded. */
static int descend(int depth, int (*body)(uint32_t), uint32_t root) {
  int status;
  if (depth == 0) return body(root);
  pid_t child = fork();
  if (child == 0) _exit(descend(depth - 1, body, root));
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static int find_root(uint32_t root) {
  struct rf_ancestry a;
  rf_ancestry_find(&a, NULL, NULL, NULL);
  if (a.is_root || a.after_exec) return 1;
  if (a.root_pid != root) return 2;
  if (strcmp(a.run_dir, "/somewhere") || strcmp(a.root_dir, "/")) return 3;
  return 0;
}

static int find_none(uint32_t root) {
  char here[1024];
  struct rf_ancestry a;
  rf_ancestry_find(&a, NULL, NULL, NULL);
  if (!a.is_root || a.root_pid != (uint32_t)getpid() || a.run_dir[0]) return 1;
  return getcwd(here, sizeof here) && !strcmp(a.root_dir, here) ? 0 : 2;
}

Test(ancestry, the_nearest_recorded_ancestor_tells) {
  rf_log_setup(-1, RF_LOG_ERROR, 0);
  cr_expect_eq(descend(3, find_none, 0), 0);
  start_recording(NULL);
  for (int depth = 1; depth < 5; depth++) cr_expect_eq(descend(depth, find_root, (uint32_t)getpid()), 0);
  rf_recording_flush(true);
  rf_recording_drop();
  cr_expect_eq(descend(2, find_none, 0), 0, "a finished one is no longer found");
}
