/*
 * See log.h.
 *
 *   rf_log ─ vsnprintf ─▶ rf_log_plain ─ one line, escaped ─▶ send
 *   rf_log_block ─ lines, prefixed, in pages ───────────────▶ send
 *                                                              └─▶ same file? ─▶ SIGPIPE blocked ─▶ poll, write ...
 *                                                                                and taken back
 *
 * A blocking write to a full pipe would wait for its reader: poll says first that PIPE_BUF bytes fit, and no
 * more than that is written at once. Who didn't read once is not waited for again until he reads.
 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>

#include "arch/arch.h"
#include "base/text.h"
#include "base/thread.h"

#define LINE 2048
#define MESSAGE 1536
#define AT_ONCE 4096 /* PIPE_BUF */
#define DEADLINE_MS 200
#define ONCE 128

static struct {
  int fd;
  enum rf_log_level level;
  bool json, known; /* known: device and inode are those of fd at setup */
  dev_t device;
  ino_t inode;
} sink = {.fd = 2, .level = RF_LOG_WARN};

static bool stuck;             /* the last write found nobody reading */
static const char *said[ONCE]; /* formats of rf_log_once, by hash */

void rf_log_setup(int fd, enum rf_log_level level, int json) {
  struct stat file = {0};
  sink.known = fd >= 0 && rf_syscall(SYS_fstat, fd, &file) == 0;
  sink.fd = sink.known ? fd : -1;
  sink.level = level;
  sink.json = json != 0;
  sink.device = file.st_dev;
  sink.inode = file.st_ino;
  __atomic_store_n(&stuck, false, __ATOMIC_RELAXED);
}

int rf_log_fd(void) {
  struct stat file;
  if (sink.fd < 0 || rf_syscall(SYS_fstat, sink.fd, &file) < 0) return -1;
  if (sink.known && (file.st_dev != sink.device || file.st_ino != sink.inode)) return -1;
  return sink.fd;
}

static int64_t now_ms(void) {
  struct timespec now = {0};
  rf_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether a page can be written without waiting beyond the deadline. */
static bool writable(int fd, int64_t deadline) {
  for (;;) {
    int64_t left = deadline - now_ms();
    if (left < 0) left = 0;
    struct timespec wait = {left / 1000, left % 1000 * 1000000};
    struct pollfd poll = {.fd = fd, .events = POLLOUT};
    long ready = rf_syscall(SYS_ppoll, &poll, 1, &wait, 0, 0);
    if (ready == -EINTR) continue;
    return ready > 0 && !(poll.revents & POLLNVAL);
  }
}

/* The number of bytes that got out. EPIPE is told by *broken. */
static size_t write_until(int fd, const char *bytes, size_t length, int64_t deadline, bool *broken) {
  size_t done = 0;
  while (done < length && writable(fd, deadline)) {
    size_t piece = length - done < AT_ONCE ? length - done : AT_ONCE;
    long written = rf_syscall(SYS_write, fd, bytes + done, piece);
    if (written > 0)
      done += (size_t)written;
    else if (written == -EAGAIN && now_ms() >= deadline)
      break;
    else if (written != -EAGAIN && written != -EINTR) {
      *broken = written == -EPIPE;
      break;
    }
  }
  return done;
}

/* Writes with SIGPIPE blocked, and takes back the one that the write raised: a pending one of the app's own
 * stays. */
static size_t write_quietly(int fd, const char *bytes, size_t length, int64_t deadline) {
  uint64_t pipe = UINT64_C(1) << (SIGPIPE - 1), before = 0, pending = 0;
  bool broken = false;
  rf_syscall(SYS_rt_sigprocmask, SIG_BLOCK, &pipe, &before, sizeof pipe);
  rf_syscall(SYS_rt_sigpending, &pending, sizeof pending);
  size_t done = write_until(fd, bytes, length, deadline, &broken);
  struct timespec at_once = {0, 0};
  if (broken && !(pending & pipe)) rf_syscall(SYS_rt_sigtimedwait, &pipe, 0, &at_once, sizeof pipe);
  rf_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, 0, sizeof before);
  return done;
}

/* False when not everything got out. */
static bool send(const char *bytes, size_t length, int64_t deadline) {
  int fd = rf_log_fd();
  if (fd < 0) return false;
  bool sent =
      write_quietly(fd, bytes, length, __atomic_load_n(&stuck, __ATOMIC_RELAXED) ? 0 : deadline) == length;
  __atomic_store_n(&stuck, !sent, __ATOMIC_RELAXED);
  return sent;
}

static size_t append(char *line, size_t used, const char *text) {
  size_t length = strlen(text);
  if (length >= LINE - used) length = LINE - used - 1;
  memcpy(line + used, text, length);
  line[used + length] = 0;
  return used + length;
}

static size_t text_line(char *line, enum rf_log_level level, const char *message) {
  static const char *const prefixes[] = {
      "refunc: error: ", "refunc: warning: ", "refunc: ", "refunc: debug: "};
  size_t used = append(line, 0, prefixes[level]);
  used += rf_text_visible(line + used, LINE - used - 1, message, strlen(message));
  return append(line, used, "\n");
}

static char *digits(char *at, unsigned long value, int count) {
  for (int i = count - 1; i >= 0; i--, value /= 10) at[i] = (char)('0' + value % 10);
  return at + count;
}

/* "2026-11-26T05:49:59.123Z" of now. gmtime would take libc's locks. */
static void utc(char *at) {
  struct timespec now = {0};
  rf_syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
  unsigned long seconds = now.tv_sec > 0 ? (unsigned long)now.tv_sec : 0;
  unsigned long days = seconds / 86400 + 719468, era = days / 146097,
                of_era = days % 146097; /* from 0000-03-01 */
  unsigned long year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  unsigned long of_year = of_era - (365 * year + year / 4 - year / 100);
  unsigned long march = (5 * of_year + 2) / 153, month = march < 10 ? march + 3 : march - 9;
  const unsigned long fields[] = {year + era * 400 + (month <= 2),
                                  month,
                                  of_year - (153 * march + 2) / 5 + 1,
                                  seconds / 3600 % 24,
                                  seconds / 60 % 60,
                                  seconds % 60,
                                  (unsigned long)now.tv_nsec / 1000000};
  static const char after[] = "--T::.Z";
  for (unsigned i = 0; i < 7; i++) {
    at = digits(at, fields[i], i == 0 ? 4 : i == 6 ? 3 : 2);
    *at++ = after[i];
  }
  *at = 0;
}

static size_t json_begin(char *line, enum rf_log_level level) {
  static const char *const names[] = {"error", "warn", "info", "debug"};
  char time[32];
  utc(time);
  size_t used = append(line, 0, "{\"time\":\"");
  used = append(line, used, time);
  used = append(line, used, "\",\"level\":\"");
  used = append(line, used, names[level]);
  return append(line, used, "\",\"message\":\"");
}

static size_t json_line(char *line, enum rf_log_level level, const char *message) {
  size_t used = json_begin(line, level);
  used += rf_text_json(line + used, LINE - used - 3, message, strlen(message));
  return append(line, used, "\"}\n");
}

void rf_log_plain(enum rf_log_level level, const char *message) {
  char line[LINE];
  if (level > sink.level || sink.fd < 0) return;
  size_t length = sink.json ? json_line(line, level, message) : text_line(line, level, message);
  send(line, length, now_ms() + DEADLINE_MS);
}

void rf_log_result(const char *text, const char *fields) {
  char line[2 * LINE];
  size_t used;
  if (sink.fd < 0) return;
  if (sink.json) {
    used = json_begin(line, RF_LOG_INFO);
    used += rf_text_json(line + used, LINE - used, text, strlen(text));
    used = append(line, used, "\",\"result\":");
    size_t length = strlen(fields);
    if (used + length + 3 > sizeof line) return;
    memcpy(line + used, fields, length);
    memcpy(line + used + length, "}\n", 3);
    used += length + 2;
  } else {
    used = text_line(line, RF_LOG_INFO, text);
  }
  send(line, used, now_ms() + DEADLINE_MS);
}

static void say(enum rf_log_level level, const char *format, va_list arguments) {
  int saved = errno;
  char message[MESSAGE];
  rf_internal_enter();
  int length = vsnprintf(message, sizeof message, format, arguments);
  if (length >= (int)sizeof message) memcpy(message + sizeof message - 4, "...", 4);
  if (length >= 0) rf_log_plain(level, message);
  rf_internal_leave();
  errno = saved;
}

void rf_log(enum rf_log_level level, const char *format, ...) {
  if (level > sink.level) return;
  va_list arguments;
  va_start(arguments, format);
  say(level, format, arguments);
  va_end(arguments);
}

/* Whether format is new. A full table says no: silence is better than a flood. */
static bool first_time(const char *format) {
  size_t start = (uintptr_t)format * UINT64_C(0x9e3779b97f4a7c15) >> 57;
  for (size_t i = 0; i < ONCE; i++) {
    const char *known = NULL;
    const char **slot = &said[(start + i) % ONCE];
    if (__atomic_compare_exchange_n(slot, &known, format, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
      return true;
    if (known == format) return false;
  }
  return false;
}

void rf_log_once(enum rf_log_level level, const char *format, ...) {
  if (level > sink.level || !first_time(format)) return;
  va_list arguments;
  va_start(arguments, format);
  say(level, format, arguments);
  va_end(arguments);
}

void rf_log_forget(void) {
  for (size_t i = 0; i < ONCE; i++) __atomic_store_n(&said[i], NULL, __ATOMIC_RELAXED);
}

static bool terminal(int fd) {
  char settings[256]; /* the kernel's struct termios is smaller */
  return rf_syscall(SYS_ioctl, fd, TCGETS, settings) == 0;
}

/* Copies from bytes into page, every line with its prefix, until it is full; *start tells whether a line
 * begins. Whole lines are kept together where they fit, so that other writers' lines don't get between.
 * Returns the bytes taken. */
static size_t fill_page(char *page, size_t *used, const char *bytes, size_t length, const char *prefix,
                        bool *start) {
  size_t taken = 0;
  *used = 0;
  while (taken < length) {
    const char *end = memchr(bytes + taken, '\n', length - taken);
    size_t line = end ? (size_t)(end - bytes) - taken + 1 : length - taken;
    size_t lead = *start ? strlen(prefix) : 0, room = AT_ONCE - *used;
    if (lead + line > room && *used > 0) break;
    memcpy(page + *used, prefix, lead);
    if (line > room - lead) line = room - lead;
    memcpy(page + *used + lead, bytes + taken, line);
    *used += lead + line;
    taken += line;
    *start = page[*used - 1] == '\n';
  }
  return taken;
}

void rf_log_block(const char *bytes, unsigned long length, int deadline_ms) {
  int64_t deadline = now_ms() + deadline_ms;
  const char *prefix = terminal(sink.fd) ? "" : "refunc: ";
  bool start = true;
  while (length > 0) {
    char page[AT_ONCE];
    size_t used, taken = fill_page(page, &used, bytes, length, prefix, &start);
    if (!send(page, used, deadline)) return;
    bytes += taken;
    length -= taken;
  }
}
