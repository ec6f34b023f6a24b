/* See ancestry.h. */
#include "recording/ancestry.h"

#include "recording/compose.h"
#include "recording/live.h"
#include "recording/process.h"
#include "recording/raw.h"

#define GENERATIONS 32

/* Where live copies are looked for, and as whom. */
struct search {
  const char *dirs[2];
  uint32_t uid;
};

enum finding { NOTHING, EXISTS /* another user's: not to be read or not to be believed */, READ };

/* ---- one process ---- */

static enum finding read_copy(const char *path, uint32_t uid, const struct rf_process *process,
                              struct rf_header *header) {
  int fd = rf_live_open(path, O_RDONLY, uid, 0, 0);
  if (fd == -EACCES) return EXISTS;
  if (fd < 0) return NOTHING;
  int result = rf_live_header(fd, header);
  rf_raw_close(fd);
  if (result < 0 || header->pid != process->pid || header->pid_start_ticks != process->start_ticks ||
      !rf_process_comparable(header))
    return NOTHING;
  return READ;
}

/* The owner of /proc/PID is the process's effective user; processes that must not be dumped show as root's.
 */
static uint32_t owner_of(uint32_t pid, uint32_t fallback) {
  char path[32];
  struct stat found;
  struct rf_text text = rf_text_in(path, sizeof path);
  rf_text_put(&text, "/proc/");
  rf_text_number(&text, pid);
  return rf_raw_stat(path, &found) < 0 ? fallback : found.st_uid;
}

static enum finding find_as(const struct search *search, uint32_t uid, const struct rf_process *process,
                            struct rf_header *header) {
  char path[512];
  enum finding finding = NOTHING;
  for (size_t i = 0; i < 2 && finding == NOTHING; i++)
    if (search->dirs[i] &&
        rf_live_name(path, sizeof path, search->dirs[i], uid, process->pid, process->start_ticks))
      finding = read_copy(path, uid, process, header);
  return finding;
}

static enum finding find_copy(const struct search *search, const struct rf_process *process,
                              struct rf_header *header) {
  enum finding finding = find_as(search, search->uid, process, header);
  if (finding != NOTHING) return finding;
  uint32_t owner = owner_of(process->pid, search->uid);
  if (owner == search->uid) return NOTHING;
  finding = find_as(search, owner, process, header);
  return finding == READ && owner != 0 ? EXISTS : finding; /* what another user wrote is not followed */
}

/* ---- the line of ancestors ---- */

static void adopt(struct rf_ancestry *a, const struct rf_header *header) {
  a->root_pid = header->root_pid;
  rf_text_copy(a->run_dir, sizeof a->run_dir, header->run_dir);
  if (header->root_dir[0]) rf_text_copy(a->root_dir, sizeof a->root_dir, header->root_dir);
}

static void become_root(struct rf_ancestry *a) {
  a->is_root = true;
  a->root_pid = rf_raw_pid();
  a->run_dir[0] = 0;
  long length = rf_syscall(SYS_getcwd, a->root_dir, sizeof a->root_dir);
  if (length <= 0 || a->root_dir[0] != '/') rf_text_copy(a->root_dir, sizeof a->root_dir, "/");
}

static bool earlier_image(struct rf_ancestry *a, const struct search *search, const struct rf_process *own) {
  struct rf_header header;
  if (find_copy(search, own, &header) != READ) return false;
  a->after_exec = true;
  a->is_root = header.is_root != 0;
  adopt(a, &header);
  return true;
}

static bool recorded_parent(struct rf_ancestry *a, const struct search *search, uint32_t parent) {
  struct rf_process process;
  struct rf_header header;
  for (int i = 0; i < GENERATIONS && parent > 0; i++, parent = process.parent) {
    if (rf_process_read(parent, &process) < 0) return false;
    enum finding finding = find_copy(search, &process, &header);
    if (finding == NOTHING) continue;
    a->is_root = false;
    a->root_pid = parent;
    if (finding == READ) adopt(a, &header);
    return true;
  }
  return false;
}

/* Digits at the end, behind the last colon. */
bool rf_ancestry_parse(const char *run, struct rf_ancestry *ancestry) {
  const char *colon = rf_text_last(run, ':');
  const char *at = colon ? colon + 1 : run;
  uint64_t pid = rf_text_parse(&at);
  if (!colon || at == colon + 1 || *at || pid > INT32_MAX) return false;
  size_t length = (size_t)(colon - run);
  if (length >= sizeof ancestry->run_dir || (length && run[0] != '/')) return false;
  rf_bytes_copy(ancestry->run_dir, run, length);
  ancestry->run_dir[length] = 0;
  ancestry->root_pid = (uint32_t)pid;
  ancestry->is_root = pid == rf_raw_pid();
  return true;
}

void rf_ancestry_find(struct rf_ancestry *a, const char *run, const char *runtime_dir, const char *live_dir) {
  struct search search = {{live_dir ? live_dir : RF_LIVE_DIR, runtime_dir},
                          (uint32_t)rf_syscall(SYS_geteuid)};
  struct rf_process own;
  rf_bytes_zero(a, sizeof *a);
  become_root(a);
  bool known = rf_process_read(0, &own) == 0;
  uint32_t parent = known ? own.parent : (uint32_t)rf_syscall(SYS_getppid);
  if (!earlier_image(a, &search, &own)) a->is_child = recorded_parent(a, &search, parent);
  if (run && *run) rf_ancestry_parse(run, a);
}
