/* See process.h. */
#include "recording/process.h"

#include "recording/compose.h"
#include "recording/format.h"
#include "recording/raw.h"

#define RECENT_NS INT64_C(15000000000) /* an idle process is written every 10 s */

static void stat_path(char *path, size_t size, uint32_t pid) {
  struct rf_text text = rf_text_in(path, size);
  rf_text_put(&text, "/proc/");
  if (pid)
    rf_text_number(&text, pid);
  else
    rf_text_put(&text, "self");
  rf_text_put(&text, "/stat");
}

/* Skips count fields, each followed by one space. */
static const char *skip_fields(const char *at, int count) {
  while (count > 0 && *at)
    if (*at++ == ' ') count--;
  return at;
}

/* ---- time namespaces: the same moment has another number in each ---- */

#define FIRST_TIME_NAMESPACE "time:[4026531834]"
#define TICK_NS 10000000 /* of the ticks in /proc, whatever the kernel's own are */

static bool is_link(const char *path, const char *target) {
  char link[64];
  long length = rf_syscall(SYS_readlinkat, AT_FDCWD, path, link, sizeof link - 1);
  link[length > 0 ? length : 0] = 0;
  return rf_text_equal(link, target);
}

/* The file tells of the namespace that children will have: that is this process's own, but for a process that
 * has just made one and does not live in it. */
static bool has_own_offsets(void) {
  char link[64];
  long length = rf_syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/ns/time", link, sizeof link - 1);
  if (length <= 0) return false; /* an old kernel */
  link[length] = 0;
  return !rf_text_equal(link, FIRST_TIME_NAMESPACE) && is_link("/proc/self/ns/time_for_children", link);
}

static int64_t parse_signed(const char **at) {
  while (**at == ' ' || **at == '\t') ++*at;
  bool negative = **at == '-';
  if (negative) ++*at;
  int64_t value = (int64_t)rf_text_parse(at);
  return negative ? -value : value;
}

/* Behind a name: seconds, which may be negative, and nanoseconds. */
static int64_t parse_offset(const char **at) {
  while (**at && **at != ' ' && **at != '\t') ++*at;
  int64_t seconds = parse_signed(at), nanoseconds = parse_signed(at);
  while (**at == '\n') ++*at;
  return seconds * 1000000000 + nanoseconds;
}

struct rf_time_offsets rf_process_time_offsets(void) {
  struct rf_time_offsets offsets = {0};
  char text[256];
  if (!has_own_offsets() || rf_raw_read_text("/proc/self/timens_offsets", text, sizeof text) <= 0)
    return offsets;
  const char *at = text; /* monotonic first */
  offsets.monotonic_ns = parse_offset(&at);
  offsets.boottime_ns = parse_offset(&at);
  return offsets;
}

/* "pid (name) S ppid ...": the name may contain spaces and parentheses, so fields count from its last ')'. */
int rf_process_read(uint32_t pid, struct rf_process *process) {
  char path[32], line[1024];
  *process = (struct rf_process){.pid = pid ? pid : rf_raw_pid()};
  stat_path(path, sizeof path, pid);
  long length = rf_raw_read_text(path, line, sizeof line);
  if (length < 0) return (int)length;
  const char *at = rf_text_last(line, ')');
  if (!at || at[1] != ' ' || !at[2]) return -EPROTO;
  process->state = at[2];
  at = skip_fields(at + 2, 1); /* field 4 */
  process->parent = (uint32_t)rf_text_parse(&at);
  at = skip_fields(at, 16); /* field 20 */
  process->threads = (uint32_t)rf_text_parse(&at);
  at = skip_fields(at, 2); /* field 22 */
  process->start_ticks = rf_text_parse(&at);
  if (process->start_ticks)
    process->start_ticks -= (uint64_t)(rf_process_time_offsets().boottime_ns / TICK_NS);
  return 0;
}

bool rf_process_alive(uint32_t pid, uint64_t start_ticks) {
  struct rf_process process;
  if (!pid) return false;
  if (rf_process_read(pid, &process) < 0) return rf_syscall(SYS_kill, pid, 0) != -ESRCH && start_ticks == 0;
  if (start_ticks && process.start_ticks && process.start_ticks != start_ticks) return false;
  bool ended = process.state == 'Z' || process.state == 'X';
  return !ended || process.threads > 1;
}

void rf_process_boot_id(char boot_id[40]) {
  if (rf_raw_read_text("/proc/sys/kernel/random/boot_id", boot_id, 40) < 36) boot_id[0] = 0;
  boot_id[36] = 0;
}

/* The link reads "pid:[4026531836]". */
uint64_t rf_process_pid_namespace(void) {
  char link[64];
  long length = rf_syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/ns/pid", link, sizeof link - 1);
  if (length < 6) return 0;
  link[length] = 0;
  const char *at = link + 5;
  return rf_text_parse(&at);
}

enum relation { ELSEWHEN, ELSEWHERE, HERE }; /* another boot; another pid namespace; pids mean something */

static enum relation relation_to(const struct rf_header *header) {
  char boot_id[40];
  rf_process_boot_id(boot_id);
  if (boot_id[0] && header->boot_id[0] && !rf_text_equal(boot_id, header->boot_id)) return ELSEWHEN;
  uint64_t namespace = rf_process_pid_namespace();
  return namespace && header->pid_namespace && namespace != header->pid_namespace ? ELSEWHERE : HERE;
}

bool rf_process_comparable(const struct rf_header *header) { return relation_to(header) == HERE; }

bool rf_process_writes(const struct rf_header *header) {
  if (header->state == RF_STATE_FINISHED || header->exit_kind == RF_EXIT_EXECED) return false;
  switch (relation_to(header)) {
  case HERE: return rf_process_alive(header->pid, header->pid_start_ticks);
  case ELSEWHERE: {
    int64_t now = rf_raw_clock(CLOCK_MONOTONIC) - rf_process_time_offsets().monotonic_ns;
    int64_t written = header->last_write_monotonic_ns - header->monotonic_offset_ns;
    return now >= written && now - written < RECENT_NS;
  }
  default: return false;
  }
}
