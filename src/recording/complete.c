/*
 * What dead processes left: the output file still points to the live copy in tmpfs, which holds the last
 * second.
 *
 *   output POINTER + live copy of a dead process   ──▶ copied, output FINISHED, live copy removed (live.c)
 *   output POINTER or LIVE, no live copy           ──▶ what was written through is all there is: marked FINISHED
 *   live copy that no output asks for              ──▶ removed by the sweep
 */
#include <sys/file.h>

#include "recording/compose.h"
#include "recording/folder.h"
#include "recording/live.h"
#include "recording/process.h"
#include "recording/raw.h"
#include "recording/reader.h"

/* ---- the output file ---- */

/* Opens an output file of this user, or anybody's for root, and reads its header. */
static int open_output(const char *path, struct rf_header *header) {
  struct stat found;
  int fd = rf_raw_open(path, O_RDWR, 0);
  if (fd < 0) return fd;
  uint32_t uid = (uint32_t)rf_syscall(SYS_geteuid);
  int result = rf_raw_stat_fd(fd, &found);
  if (result == 0 && (!S_ISREG(found.st_mode) || (uid != 0 && found.st_uid != uid))) result = -EPERM;
  if (result == 0) result = rf_live_header(fd, header);
  if (result == 0 && header->uid != found.st_uid) result = -EPERM; /* it names files of somebody else */
  if (result == 0) return fd;
  rf_raw_close(fd);
  return result;
}

static int write_field(int fd, const void *field, size_t bytes, size_t offset) {
  return rf_raw_write_at(fd, field, bytes, offset);
}

static int mark_finished(int fd) {
  uint32_t finished = RF_STATE_FINISHED;
  return write_field(fd, &finished, sizeof finished, offsetof(struct rf_header, state));
}

/* The live copy that an output names, when it is that recording's: 0, or -ENOENT. */
static int find_live_copy(const struct rf_header *pointer) {
  struct rf_header live;
  if (!pointer->live_path[0]) return -ENOENT;
  int fd = rf_live_open(pointer->live_path, O_RDONLY, pointer->uid, pointer->live_dev, pointer->live_inode);
  if (fd < 0) return -ENOENT;
  int result = rf_live_header(fd, &live);
  rf_raw_close(fd);
  return result == 0 && rf_live_same(pointer, &live) ? 0 : -ENOENT;
}

/* Whoever could not see the copy (another container's /dev/shm) must not declare it lost. */
static bool surely_lost(const struct rf_header *header) {
  char boot_id[40];
  rf_process_boot_id(boot_id);
  bool earlier_boot = boot_id[0] && header->boot_id[0] && !rf_text_equal(boot_id, header->boot_id);
  return earlier_boot || rf_process_comparable(header);
}

static int complete_open(int fd, const struct rf_header *header) {
  if (header->state == RF_STATE_FINISHED) return 0;
  if (rf_process_writes(header)) return -EBUSY;
  if (header->state == RF_STATE_POINTER && rf_process_comparable(header) && find_live_copy(header) == 0)
    return rf_live_settle(header->live_path, header->uid, RF_EXIT_RUNNING);
  return surely_lost(header) ? mark_finished(fd) : 0;
}

int rf_recording_complete(const char *output_path) {
  struct rf_header header;
  int fd = open_output(output_path, &header);
  if (fd < 0) return fd;
  int result = complete_open(fd, &header);
  rf_raw_close(fd);
  return result;
}

int rf_recording_note_exit(const char *output_path, enum rf_exit_kind kind, int code) {
  struct rf_header header;
  int fd = open_output(output_path, &header);
  if (fd < 0) return fd;
  uint32_t ended = kind;
  int32_t number = code;
  int result = header.exit_kind != RF_EXIT_RUNNING || header.state != RF_STATE_FINISHED ? -EALREADY : 0;
  if (result == 0) result = write_field(fd, &number, sizeof number, offsetof(struct rf_header, exit_code));
  if (result == 0) result = write_field(fd, &ended, sizeof ended, offsetof(struct rf_header, exit_kind));
  rf_raw_close(fd);
  return result;
}

/* ---- the folder of live copies ---- */

struct sweep {
  const char *dir;
  uint32_t uid;
  int settled;
};

/* Of a container that shares the folder, pids mean nothing here: its copies stay. One without a valid header
 * was left by a process that died while creating it. */
static bool is_dead(const char *path, uint32_t uid, uint32_t pid, uint64_t start_ticks) {
  struct rf_header header;
  int fd = rf_live_open(path, O_RDONLY, uid, 0, 0);
  if (fd < 0) return false;
  int result = rf_live_header(fd, &header);
  rf_raw_close(fd);
  if (result == 0 && !rf_process_comparable(&header)) return false;
  return !rf_process_alive(pid, start_ticks);
}

static bool sweep_one(void *user, const char *name) {
  struct sweep *sweep = user;
  char path[512];
  uint32_t uid, pid;
  uint64_t start_ticks;
  if (!rf_live_parse(name, &uid, &pid, &start_ticks) || uid != sweep->uid) return true;
  if (!rf_live_name(path, sizeof path, sweep->dir, uid, pid, start_ticks)) return true;
  if (is_dead(path, uid, pid, start_ticks) && rf_live_settle(path, uid, RF_EXIT_RUNNING) == 0)
    sweep->settled++;
  return true;
}

int rf_recordings_sweep(const char *dir) {
  struct sweep sweep = {dir ? dir : RF_LIVE_DIR, (uint32_t)rf_syscall(SYS_geteuid), 0};
  int result = rf_folder_visit(sweep.dir, sweep_one, &sweep);
  return result < 0 ? result : sweep.settled;
}

/* ---- running processes ---- */

static bool have_copy(const char *dir, uint32_t uid, const struct rf_process *process, char *path,
                      size_t size) {
  struct stat found;
  return dir && rf_live_name(path, size, dir, uid, process->pid, process->start_ticks) &&
         rf_raw_stat(path, &found) == 0 && S_ISREG(found.st_mode) && found.st_uid == uid;
}

/* The owner is usually this user; root looks at everybody's. */
int rf_recording_of_process(uint32_t pid, const char *runtime_dir, char *path, size_t size) {
  struct rf_process process;
  struct stat found;
  char proc[32];
  struct rf_text text = rf_text_in(proc, sizeof proc);
  rf_text_put(&text, "/proc/");
  rf_text_number(&text, pid);
  if (!pid || rf_process_read(pid, &process) < 0 || rf_raw_stat(proc, &found) < 0) return -ENOENT;
  const uint32_t owners[] = {(uint32_t)rf_syscall(SYS_geteuid), found.st_uid};
  for (size_t i = 0; i < 2; i++)
    if (have_copy(RF_LIVE_DIR, owners[i], &process, path, size) ||
        have_copy(runtime_dir, owners[i], &process, path, size))
      return 0;
  return -ENOENT;
}
