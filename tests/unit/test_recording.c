/* The recording's writer: creation, growth, forks, write-through, the end, and what stands in its way. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/log.h"
#include "recording/ancestry.h"
#include "recording/inner.h"
#include "recording/live.h"
#include "recording/reader.h"
#include "recording/writer.h"
#include "recording_sample.h"
#include "recording_walk.h"

static char folder[256], output[512];

static void setup(void) {
  snprintf(output, sizeof output, "%s/app.rfn", fresh_folder(folder));
  rf_log_setup(-1, RF_LOG_ERROR, 0);
}
static void teardown(void) {
  if (rf_recording_header()) rf_recording_flush(true);
  remove_folder(folder);
}
TestSuite(recording, .init = setup, .fini = teardown, .timeout = 100);

static struct rf_reader *open_recording(const char *path) {
  char error[512];
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  cr_assert_not_null(reader, "%s", error);
  return reader;
}

static bool exists(const char *path) { return access(path, F_OK) == 0; }

static long size_of(const char *path) {
  struct stat found;
  return stat(path, &found) == 0 ? found.st_size : -1;
}

static size_t count_entries(const char *path) {
  struct rf_reader *reader = open_recording(path);
  size_t count = walk_recording(reader);
  cr_expect_not(rf_reader_truncated(reader));
  rf_reader_close(reader);
  return count;
}

/* ---- creation ---- */

Test(recording, output_names_a_private_live_copy) {
  umask(0277); /* must not decide on the modes */
  struct rf_header *header = start_recording(output);
  struct stat live, file;
  cr_assert_eq(stat(header->live_path, &live), 0);
  cr_assert_eq(stat(output, &file), 0);
  cr_expect_eq(live.st_mode & 07777, 0600);
  cr_expect_eq(file.st_mode & 07777, 0600);
  struct rf_header pointer;
  FILE *f = fopen(output, "r");
  cr_assert_eq(fread(&pointer, sizeof pointer, 1, f), 1);
  fclose(f);
  cr_expect_eq(pointer.state, RF_STATE_POINTER);
  cr_expect_str_eq(pointer.live_path, header->live_path);
  cr_expect_eq(pointer.live_inode, live.st_ino);
  cr_expect_eq(pointer.live_dev, live.st_dev);
  cr_expect_eq(pointer.pid, (uint32_t)getpid());
}

Test(recording, keeps_no_descriptor) {
  int before = dup(0), after;
  close(before);
  start_recording(output);
  for (int i = 0; i < 3000; i++) cr_assert_not_null(rf_recording_alloc(1000));
  rf_recording_flush(false);
  after = dup(0);
  close(after);
  cr_expect_eq(before, after);
}

Test(recording, takes_the_next_free_name) {
  char second[512];
  snprintf(second, sizeof second, "%s/app.2.rfn", folder);
  fclose(fopen(output, "w"));
  struct rf_header *header = start_recording(output);
  cr_expect_str_eq(header->output_path, second);
  rf_recording_flush(true);
  cr_expect_eq(size_of(output), 0, "a file of the user's was overwritten");
  cr_expect_gt(size_of(second), 4095);
}

Test(recording, makes_the_folders_of_a_pattern) {
  char deep[600];
  snprintf(deep, sizeof deep, "%s/a/b/c.rfn", folder);
  start_recording(deep);
  cr_expect(exists(deep));
}

Test(recording, does_not_follow_a_link_at_its_place) {
  char elsewhere[600];
  snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
  cr_assert_eq(symlink(elsewhere, output), 0);
  struct rf_header *header = start_recording(output);
  rf_recording_flush(true);
  cr_expect_not(exists(elsewhere));
  cr_expect(strstr(header->output_path, "app.2.rfn"));
}

Test(recording, none_stays_in_memory) {
  struct rf_header *header = start_recording(NULL);
  cr_expect(exists(header->live_path), "children and refunc top look for it");
  fill_sample(1, 3);
  rf_recording_flush(true);
  cr_expect(exists(header->live_path), "the report is made from it");
  rf_recording_drop();
  cr_expect_not(exists(header->live_path));
}

Test(recording, an_output_that_cannot_be_made_costs_the_output_alone) {
  struct rf_header *header = start_recording("/proc/nowhere/app.rfn");
  fill_sample(1, 3);
  cr_expect_str_eq(header->output_path, "");
  rf_recording_flush(true);
  rf_recording_drop();
  cr_expect_not(exists(header->live_path));
}

static struct rf_header *start_without_tmpfs(const char *path) {
  struct rf_recording_plan plan = {.output_path = path, .live_dir = "/nowhere"};
  cr_assert_eq(rf_recording_create(&plan), 0);
  return rf_recording_header();
}

Test(recording, without_tmpfs_the_output_itself_is_mapped) {
  struct rf_header *header = start_without_tmpfs(output);
  fill_sample(2, 5);
  cr_expect_str_eq(header->live_path, "");
  cr_expect_eq(rf_recording_inner()->backing, RF_BACKING_OUTPUT);
  size_t while_running = count_entries(output);
  header->exit_kind = RF_EXIT_EXITED;
  rf_recording_flush(true);
  struct rf_reader *reader = open_recording(output);
  cr_expect_eq(rf_reader_header(reader)->state, RF_STATE_FINISHED);
  cr_expect_eq(walk_recording(reader), while_running);
  rf_reader_close(reader);
}

Test(recording, without_any_file_memory_is_left) {
  struct rf_header *header = start_without_tmpfs(NULL);
  cr_expect_eq(rf_recording_inner()->backing, RF_BACKING_ANONYMOUS);
  for (int i = 0; i < 3000; i++) cr_assert_not_null(rf_recording_alloc(1000));
  cr_expect_geq(header->reserved_bytes, header->used_bytes);
}

/* ---- handing out ---- */

Test(recording, blocks_are_zero_aligned_and_apart) {
  start_recording(output);
  uintptr_t last_end = 0;
  for (size_t i = 1; i < 20000; i++) {
    size_t bytes = i % 300 + 1;
    unsigned char *block = rf_recording_alloc(bytes);
    cr_assert_not_null(block);
    cr_assert_eq((uintptr_t)block % (bytes >= 64 ? 64 : 16), 0);
    cr_assert_geq((uintptr_t)block, last_end);
    for (size_t k = 0; k < bytes; k++) cr_assert_eq(block[k], 0);
    memset(block, 0xff, bytes);
    last_end = (uintptr_t)block + bytes;
  }
}

Test(recording, refuses_absurd_sizes) {
  start_recording(output);
  cr_expect_null(rf_recording_alloc(SIZE_MAX));
  cr_expect_null(rf_recording_alloc(SIZE_MAX / 2));
  cr_expect_null(rf_recording_alloc((size_t)2 << 30));
  cr_expect_eq(rf_recording_string("", SIZE_MAX), 0);
  cr_expect_not_null(rf_recording_alloc(100), "a refusal must not end everything");
}

static volatile sig_atomic_t handled;
static void *volatile handler_blocks[64];
static void allocate_in_handler(int signal) { handler_blocks[handled++ % 64] = rf_recording_alloc(5000); }

static void *allocate_much(void *marks) {
  for (int i = 0; i < 2000; i++) {
    uint64_t *block = rf_recording_alloc(64 + (size_t)(i % 50) * 40);
    if (!block) return NULL;
    if (block[0] || block[1]) return NULL;
    block[0] = (uint64_t)(uintptr_t)marks;
    block[1] = (uint64_t)i;
    if (block[0] != (uint64_t)(uintptr_t)marks) return NULL;
  }
  return marks;
}

Test(recording, threads_and_handlers_get_blocks_of_their_own) {
  start_recording(output);
  struct sigaction action = {.sa_handler = allocate_in_handler, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
  struct itimerspec every = {{0, 300000}, {0, 300000}};
  cr_assert_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  timer_settime(timer, 0, &every, NULL);
  pthread_t threads[8];
  char marks[8];
  for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, allocate_much, &marks[i]);
  for (int i = 0; i < 8; i++) {
    void *result;
    pthread_join(threads[i], &result);
    cr_expect_eq(result, &marks[i], "a block was refused, not zero, or given out twice");
  }
  while (handled < 3) usleep(100);
  timer_delete(timer);
  for (int i = 0; i < 64 && i < handled; i++) cr_expect_not_null(handler_blocks[i]);
}

/* ---- forks ---- */

static int child_without_recording(void) {
  if (rf_recording_header() || rf_recording_alloc(64) || rf_recording_text("x")) return 1;
  rf_record_fact("a", "b");
  rf_recording_flush(true); /* must not end the parent's */
  rf_recording_forget();
  char own[600];
  snprintf(own, sizeof own, "%s/child.rfn", folder);
  struct rf_recording_plan plan = {.output_path = own};
  if (rf_recording_create(&plan) || !rf_recording_header()) return 2;
  if (rf_recording_header()->pid != (uint32_t)syscall(SYS_getpid)) return 3;
  fill_sample(1, 4);
  rf_recording_flush(true);
  return exists(own) ? 0 : 4;
}

static void expect_child(pid_t child) {
  int status;
  cr_assert_gt(child, 0);
  cr_assert_eq(waitpid(child, &status, 0), child);
  cr_expect(WIFEXITED(status));
  cr_expect_eq(WEXITSTATUS(status), 0, "step %d failed in the child", WEXITSTATUS(status));
}

Test(recording, a_forked_child_starts_without) {
  struct rf_header *header = start_recording(output);
  fill_sample(2, 3);
  pid_t child = fork();
  if (child == 0) _exit(child_without_recording());
  expect_child(child);
  cr_expect_eq(header->state, RF_STATE_LIVE);
  cr_expect(exists(header->live_path));
  fill_sample(1, 1);
}

Test(recording, so_does_one_of_a_raw_clone) {
  start_recording(output);
  fill_sample(2, 3);
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
  if (child == 0) syscall(SYS_exit_group, child_without_recording());
  expect_child(child);
}

Test(recording, a_vfork_child_does_not_end_its_parents) {
  struct rf_header *header = start_recording(output);
  pid_t child = vfork();
  if (child == 0) {
    rf_recording_before_exec();
    rf_recording_flush(true);
    _exit(0);
  }
  expect_child(child);
  cr_expect_eq(header->state, RF_STATE_LIVE);
  cr_expect_eq(header->exit_kind, RF_EXIT_RUNNING);
  cr_expect(exists(header->live_path));
}

/* ---- writing through and the end ---- */

Test(recording, every_page_arrives) {
  struct rf_header *header = start_recording(output);
  unsigned seed = 7;
  char *blocks[200];
  for (int i = 0; i < 200; i++) cr_assert_not_null(blocks[i] = rf_recording_alloc(5000));
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 30; i++) blocks[rand_r(&seed) % 200][rand_r(&seed) % 5000]++;
    rf_recording_flush(false);
    size_t used = header->used_bytes;
    char *copy = malloc(used);
    int fd = open(output, O_RDONLY);
    cr_assert_eq(pread(fd, copy, used, 0), (ssize_t)used);
    close(fd);
    cr_expect_eq(memcmp(copy + 4096, (char *)header + 4096, used - 4096), 0);
    free(copy);
  }
}

Test(recording, an_idle_process_writes_nothing) {
  start_recording(output);
  fill_sample(2, 20);
  rf_recording_flush(false);
  struct stat before, after;
  stat(output, &before);
  for (int i = 0; i < 5; i++) {
    usleep(20000);
    rf_recording_flush(false);
  }
  stat(output, &after);
  cr_expect_eq(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

Test(recording, the_end_leaves_the_output_alone) {
  struct rf_header *header = start_recording(output);
  char live[256];
  strcpy(live, header->live_path);
  fill_sample(2, 7);
  size_t while_running = count_entries(output);
  header->exit_kind = RF_EXIT_EXITED;
  header->exit_code = 3;
  rf_recording_flush(true);
  cr_expect_not(exists(live));
  struct rf_reader *reader = open_recording(output);
  cr_expect_eq(rf_reader_header(reader)->state, RF_STATE_FINISHED);
  cr_expect_eq(rf_reader_header(reader)->exit_code, 3);
  cr_expect_eq(walk_recording(reader), while_running);
  cr_expect_not(rf_reader_alive(reader));
  cr_expect_not(rf_reader_truncated(reader));
  rf_reader_close(reader);
  rf_recording_flush(true); /* twice does no harm */
  cr_expect_null(rf_recording_alloc(4 << 20), "nothing grows behind the end");
}

Test(recording, an_output_removed_meanwhile_is_made_again_at_the_end) {
  start_recording(output);
  fill_sample(1, 5);
  rf_recording_flush(false);
  unlink(output);
  rf_recording_flush(false);
  cr_expect_not(exists(output));
  rf_recording_flush(true);
  cr_expect_gt(count_entries(output), 10);
}

Test(recording, an_output_replaced_meanwhile_is_left_alone) {
  struct rf_header *header = start_recording(output);
  unlink(output);
  FILE *f = fopen(output, "w");
  fputs("the user's", f);
  fclose(f);
  rf_recording_flush(true);
  cr_expect_eq(size_of(output), 10);
  cr_expect(exists(header->live_path), "what was recorded is kept where it is");
  unlink(header->live_path);
}

Test(recording, exec_finishes_and_a_failed_one_goes_on) {
  struct rf_header *header = start_recording(output);
  char live[256];
  strcpy(live, header->live_path);
  fill_sample(1, 2);
  rf_recording_before_exec();
  struct rf_reader *reader = open_recording(output);
  cr_expect_eq(rf_reader_header(reader)->state, RF_STATE_FINISHED);
  cr_expect_eq(rf_reader_header(reader)->exit_kind, RF_EXIT_EXECED);
  rf_reader_close(reader);
  cr_expect(exists(live));
  rf_recording_exec_failed();
  fill_sample(1, 2);
  reader = open_recording(output);
  cr_expect(rf_reader_alive(reader));
  cr_expect_eq(rf_reader_header(reader)->exit_kind, RF_EXIT_RUNNING);
  rf_reader_close(reader);
}

/* What the new image of an exec meets: the same pid and start time, an empty memory. */
static void exec_to(const char *next_output, bool through_hook) {
  if (through_hook) rf_recording_before_exec();
  rf_recording_forget();
  struct rf_ancestry ancestry;
  rf_ancestry_find(&ancestry, NULL, NULL, NULL);
  cr_expect(ancestry.after_exec);
  cr_expect(ancestry.is_root);
  cr_expect_str_eq(ancestry.run_dir, "/somewhere");
  start_recording(next_output);
}

Test(recording, an_exec_chain_leaves_one_live_copy) {
  char path[600];
  start_recording(output);
  for (int i = 0; i < 5; i++) {
    fill_sample(1, 10);
    snprintf(path, sizeof path, "%s/image%d.rfn", folder, i);
    exec_to(path, i % 2);
  }
  rf_recording_flush(true);
  cr_expect_not(exists(rf_recording_header()->live_path));
  for (int i = -1; i < 4; i++) {
    snprintf(path, sizeof path, "%s/image%d.rfn", folder, i);
    struct rf_reader *reader = open_recording(i < 0 ? output : path);
    cr_expect_eq(rf_reader_header(reader)->state, RF_STATE_FINISHED);
    cr_expect_eq(rf_reader_header(reader)->exit_kind, RF_EXIT_EXECED);
    cr_expect_gt(walk_recording(reader), 20);
    rf_reader_close(reader);
  }
}

Test(recording, a_write_through_that_hangs_delays_the_end_for_a_bounded_time) {
  struct rf_header *header = start_recording(output);
  fill_sample(1, 5);
  size_t before = count_entries(output);
  rf_lock_take(&rf_recording_inner()->flush_lock); /* as a thread that waits for its disk */
  time_t start = time(NULL);
  rf_recording_flush(true);
  cr_expect_leq(time(NULL) - start, 4);
  cr_expect(exists(header->live_path));
  cr_expect_eq(count_entries(output), before, "the live copy still has everything");
  rf_lock_give(&rf_recording_inner()->flush_lock);
}

Test(recording, a_sealed_one_makes_no_system_call) {
  struct rf_header *header = start_recording(output);
  char live[256];
  strcpy(live, header->live_path);
  fill_sample(1, 5);
  pid_t child = fork(); /* a child of its own, for the filter stays */
  if (child == 0) {
    rf_recording_forget();
    char own[600];
    snprintf(own, sizeof own, "%s/sealed.rfn", folder);
    start_recording(own);
    rf_recording_seal();
    syscall(SYS_prctl, 22 /* PR_SET_SECCOMP */, 1 /* strict: read, write, exit, sigreturn */, 0, 0, 0);
    while (rf_recording_alloc(5000)) {
    }
    rf_record_fact("x", "y");
    rf_recording_flush(false);
    rf_recording_flush(true);
    syscall(SYS_exit, 0);
  }
  expect_child(child);
}

/* ---- what is refused ---- */

Test(recording, a_limit_on_file_sizes_ends_growth_and_not_the_app) {
  struct rlimit limit = {300 << 10, 300 << 10};
  cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
  struct rf_header *header = start_recording(output);
  while (rf_recording_alloc(1000)) {
  }
  cr_expect_leq(header->used_bytes, 300u << 10);
  cr_expect_gt(header->used_bytes, 250u << 10);
  rf_recording_flush(true);
  cr_expect(exists(output));
}

Test(recording, no_descriptor_left_ends_growth_for_a_while) {
  struct rf_header *header = start_recording(output);
  struct rlimit limit, none = {0, 0};
  getrlimit(RLIMIT_NOFILE, &limit);
  none.rlim_max = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &none);
  while (rf_recording_alloc(10000)) {
  }
  uint64_t then = header->used_bytes;
  setrlimit(RLIMIT_NOFILE, &limit);
  cr_expect_null(rf_recording_alloc(10000), "a refusal is not asked for again at every call");
  rf_recording_flush(false);
  cr_expect_not_null(rf_recording_alloc(10000));
  cr_expect_gt(header->used_bytes, then);
}

Test(recording, a_limited_address_space_keeps_its_most_part) {
  struct rlimit limit = {1024u << 20, 1024u << 20};
  cr_assert_eq(setrlimit(RLIMIT_AS, &limit), 0);
  start_recording(output);
  cr_expect_leq(rf_recording_inner()->reserved, 64u << 20);
  cr_expect_not_null(rf_recording_alloc(1 << 20));
}

/* A tmpfs of its own at folder/NAME, seen by this process alone; skips where that needs more rights. */
static void mount_tmpfs(char path[600], const char *name, const char *size) {
  snprintf(path, 600, "%s/%s", folder, name);
  mkdir(path, 0700);
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
      mount("tmpfs", path, "tmpfs", 0, size))
    cr_skip_test("mounting a tmpfs is not allowed here (%s)", strerror(errno));
}

static struct rf_header *start_live_in(const char *dir) {
  struct rf_recording_plan plan = {.output_path = output, .live_dir = dir};
  cr_assert_eq(rf_recording_create(&plan), 0);
  return rf_recording_header();
}

Test(recording, of_a_small_tmpfs_a_quarter_is_taken) {
  char dir[600];
  mount_tmpfs(dir, "small", "size=1m");
  struct rf_header *header = start_live_in(dir);
  cr_expect_eq(rf_recording_inner()->backing, RF_BACKING_LIVE);
  while (rf_recording_alloc(512)) {
  }
  struct statvfs fs;
  cr_assert_eq(statvfs(dir, &fs), 0);
  cr_expect_geq(fs.f_bavail * fs.f_frsize, 3u << 18);
  cr_expect_geq(header->used_bytes, 200u << 10);
  rf_recording_flush(true);
  umount2(dir, MNT_DETACH);
}

Test(recording, a_tmpfs_that_somebody_else_fills_kills_nobody) {
  char dir[600], file[700];
  mount_tmpfs(dir, "small", "size=8m");
  start_live_in(dir);
  snprintf(file, sizeof file, "%s/other", dir);
  int fd = open(file, O_RDWR | O_CREAT, 0600);
  char page[4096] = {1};
  while (write(fd, page, sizeof page) > 0) {
  }
  char *block;
  while ((block = rf_recording_alloc(4096))) memset(block, 1, 4096); /* a SIGBUS here if it was not backed */
  unlink(file);
  close(fd);
  rf_recording_flush(false);
  cr_expect_not_null(rf_recording_alloc(4096), "there is room again");
  rf_recording_flush(true);
  umount2(dir, MNT_DETACH);
}

/* Records, meets the full disk at its end, and exits. */
static int end_on_a_full_disk(const char *path) {
  struct rf_header *header = start_recording(path);
  fill_sample(10, 50);
  header->exit_kind = RF_EXIT_EXITED;
  header->exit_code = 6;
  rf_recording_flush(true);
  return exists(header->live_path) ? 0 : 1;
}

static int count_live_copies(const char *path, bool *readable) {
  struct rf_reader *reader = open_recording(path);
  cr_expect_eq(rf_reader_header(reader)->exit_code, 6);
  *readable = walk_recording(reader) == 10 + 10 * 50 + 50 + 50 + 1 && !rf_reader_truncated(reader);
  int count = exists(rf_reader_header(reader)->live_path);
  rf_reader_close(reader);
  return count;
}

Test(recording, a_full_disk_leaves_the_live_copy_for_later) {
  char disk[600], path[700];
  bool readable;
  mount_tmpfs(disk, "disk", "size=64k");
  snprintf(path, sizeof path, "%s/app.rfn", disk);
  pid_t child = fork();
  if (child == 0) _exit(end_on_a_full_disk(path));
  expect_child(child);
  cr_expect_eq(count_live_copies(path, &readable), 1);
  cr_expect(readable);
  cr_expect_eq(rf_recording_complete(path), -ENOSPC);
  cr_expect_eq(count_live_copies(path, &readable), 1, "a second failure keeps it too");
  cr_assert_eq(mount(NULL, disk, NULL, MS_REMOUNT, "size=8m"), 0);
  cr_expect_eq(rf_recording_complete(path), 0);
  cr_expect_eq(count_live_copies(path, &readable), 0);
  cr_expect(readable);
  umount2(disk, MNT_DETACH);
}
