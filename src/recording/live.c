/* See live.h. */
#include "recording/live.h"

#include <sys/file.h>

#include "recording/compose.h"
#include "recording/process.h"
#include "recording/raw.h"

#define COPY_BYTES 65536u

/* ---- names ---- */

bool rf_live_name(char *path, size_t size, const char *dir, uint32_t uid, uint32_t pid,
                  uint64_t start_ticks) {
  struct rf_text text = rf_text_in(path, size);
  rf_text_put(&text, dir);
  rf_text_put(&text, "/" RF_LIVE_PREFIX);
  rf_text_number(&text, uid);
  rf_text_char(&text, '-');
  rf_text_number(&text, pid);
  rf_text_char(&text, '-');
  rf_text_number(&text, start_ticks);
  return !text.overflow;
}

/* A number followed by end. */
static bool take_number(const char **at, uint64_t *value, char end) {
  const char *start = *at;
  *value = rf_text_parse(at);
  if (*at == start || **at != end) return false;
  if (end) ++*at;
  return true;
}

bool rf_live_parse(const char *name, uint32_t *uid, uint32_t *pid, uint64_t *start_ticks) {
  uint64_t owner, process;
  for (const char *prefix = RF_LIVE_PREFIX; *prefix; prefix++)
    if (*name++ != *prefix) return false;
  if (!take_number(&name, &owner, '-') || !take_number(&name, &process, '-') ||
      !take_number(&name, start_ticks, 0))
    return false;
  *uid = (uint32_t)owner;
  *pid = (uint32_t)process;
  return owner <= UINT32_MAX && process <= INT32_MAX;
}

/* ---- opening ---- */

static int check_file(int fd, uint32_t uid, uint64_t device, uint64_t inode) {
  struct stat found;
  int result = rf_raw_stat_fd(fd, &found);
  if (result < 0) return result;
  if (!S_ISREG(found.st_mode) || found.st_uid != uid) return -ESTALE;
  if ((device || inode) && (found.st_dev != device || found.st_ino != inode)) return -ESTALE;
  return 0;
}

int rf_live_open(const char *path, int flags, uint32_t uid, uint64_t device, uint64_t inode) {
  int fd = rf_raw_open(path, flags, 0);
  if (fd < 0) return fd;
  int result = check_file(fd, uid, device, inode);
  if (result == 0) return fd;
  rf_raw_close(fd);
  return result;
}

static bool terminated(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (!text[i]) return true;
  return false;
}

static bool header_valid(const struct rf_header *h) {
  for (size_t i = 0; i < sizeof h->magic; i++)
    if (h->magic[i] != RF_MAGIC[i]) return false;
  return h->version_major == RF_VERSION_MAJOR && h->header_bytes == RF_HEADER_BYTES &&
         terminated(h->boot_id, sizeof h->boot_id) && terminated(h->live_path, sizeof h->live_path) &&
         terminated(h->output_path, sizeof h->output_path) && terminated(h->run_dir, sizeof h->run_dir) &&
         terminated(h->root_dir, sizeof h->root_dir);
}

int rf_live_header(int fd, struct rf_header *header) {
  long got = rf_raw_read_at(fd, header, sizeof *header, 0);
  if (got < 0) return (int)got;
  return got == (long)sizeof *header && header_valid(header) ? 0 : -EPROTO;
}

/* ---- settling what a dead process left ---- */

/* Bytes [RF_HEADER_BYTES, end) of one file to another. Stops early at the end of from. */
static int copy_body(int from, int to, uint64_t end, char *buffer) {
  if (end > rf_raw_limit(RLIMIT_FSIZE)) return -EFBIG;
  for (uint64_t at = RF_HEADER_BYTES; at < end; at += COPY_BYTES) {
    size_t wanted = end - at < COPY_BYTES ? end - at : COPY_BYTES;
    long got = rf_raw_read_at(from, buffer, wanted, at);
    if (got < 0) return (int)got;
    int result = rf_raw_write_at(to, buffer, (size_t)got, at);
    if (result < 0) return result;
    if ((size_t)got < wanted) break;
  }
  return 0;
}

/*
 * The header goes in last and its state last of all: until then a reader of the output is sent to the live
 * copy, which still is complete.
 */
static int copy_header(int to, struct rf_header *header, char *page) {
  rf_bytes_zero(page, RF_HEADER_BYTES);
  header->state = RF_STATE_POINTER;
  rf_bytes_copy(page, header, sizeof *header);
  int result = rf_raw_write_at(to, page, RF_HEADER_BYTES, 0);
  header->state = RF_STATE_FINISHED;
  if (result < 0) return result;
  return rf_raw_write_at(to, &header->state, sizeof header->state, offsetof(struct rf_header, state));
}

bool rf_live_same(const struct rf_header *a, const struct rf_header *b) {
  return a->pid == b->pid && a->pid_start_ticks == b->pid_start_ticks &&
         rf_text_equal(a->boot_id, b->boot_id) && a->start_monotonic_ns == b->start_monotonic_ns;
}

/* The output of that recording: 1 when it is finished already, 0 to go on, or a negative errno. An empty one
 * is what a process leaves that was killed before its first write. */
static int check_output(int output, const struct rf_header *live) {
  struct rf_header header;
  struct stat found;
  if (rf_raw_stat_fd(output, &found) == 0 && found.st_size == 0) return 0;
  int result = rf_live_header(output, &header);
  if (result < 0) return result;
  if (!rf_live_same(&header, live)) return -ESTALE;
  return header.state == RF_STATE_FINISHED;
}

/* An output that was removed is made again, but not by root for others: the path is theirs to choose. */
static int open_output(const struct rf_header *live, uint32_t uid) {
  int fd = rf_live_open(live->output_path, O_RDWR, uid, 0, 0);
  bool own = uid == (uint32_t)rf_syscall(SYS_geteuid);
  return fd == -ENOENT && own ? rf_raw_open(live->output_path, O_RDWR | O_CREAT | O_EXCL, 0600) : fd;
}

static int fill_output(int live, struct rf_header *header, uint32_t uid) {
  int output = open_output(header, uid);
  if (output < 0) return output;
  char *buffer = rf_raw_map(NULL, COPY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int result = buffer ? 0 : -ENOMEM;
  rf_syscall(SYS_flock, output, LOCK_EX);
  if (result == 0) result = check_output(output, header);
  if (result == 0) {
    result = copy_body(live, output, header->used_bytes, buffer);
    if (result == 0) result = copy_header(output, header, buffer);
  }
  if (buffer) rf_raw_unmap(buffer, COPY_BYTES);
  rf_raw_close(output);
  return result < 0 ? result : 0;
}

/* Whether a failure means that nobody will ever ask for this copy again. */
static bool hopeless(int error) {
  return error == -ENOENT || error == -ENOTDIR || error == -ESTALE || error == -EPROTO;
}

int rf_live_settle(const char *path, uint32_t uid, enum rf_exit_kind ended) {
  struct rf_header header;
  int live = rf_live_open(path, O_RDONLY, uid, 0, 0);
  if (live < 0) return live;
  int result = rf_live_header(live, &header);
  if (result == 0 && header.output_path[0]) {
    if (header.exit_kind == RF_EXIT_RUNNING) header.exit_kind = ended;
    result = fill_output(live, &header, uid);
  }
  rf_raw_close(live);
  if (result == 0 || hopeless(result)) rf_raw_unlink(path);
  return result;
}
