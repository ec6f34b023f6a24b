/* Log lines: their form, what they survive (closed and reused descriptors, pipes without a reader), what they
 * leave alone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

static char got[100000];
static int ends[2];

static void to_pipe(enum rf_log_level level, int json) {
  cr_assert_eq(pipe(ends), 0);
  rf_log_setup(ends[1], level, json);
}

/* What has been logged into the pipe so far. */
static const char *logged(void) {
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  size_t length = 0;
  for (ssize_t n; (n = read(ends[0], got + length, sizeof got - 1 - length)) > 0;) length += (size_t)n;
  got[length] = 0;
  return got;
}

Test(log, lines_have_prefix_and_level) {
  to_pipe(RF_LOG_DEBUG, 0);
  rf_log(RF_LOG_ERROR, "no %s", "disk");
  rf_log(RF_LOG_WARN, "%d of %d", 1, 2);
  rf_log(RF_LOG_INFO, "fine");
  rf_log(RF_LOG_DEBUG, "detail");
  cr_assert_str_eq(logged(),
                   "refunc: error: no disk\nrefunc: warning: 1 of 2\nrefunc: fine\nrefunc: debug: detail\n");
}

Test(log, levels_above_the_set_one_are_silent) {
  to_pipe(RF_LOG_WARN, 0);
  rf_log(RF_LOG_INFO, "no");
  rf_log_once(RF_LOG_DEBUG, "no");
  rf_log_plain(RF_LOG_INFO, "no");
  cr_assert_str_eq(logged(), "");
}

Test(log, hostile_characters_stay_on_the_line) {
  to_pipe(RF_LOG_WARN, 0);
  rf_log(RF_LOG_WARN, "%s", "a\x1b[2Jb\r\nrefunc: forged\tc\x7f \xc2\x9b \xff\xc3\xa9");
  cr_assert_str_eq(logged(),
                   "refunc: warning: a\\x1b[2Jb\\x0d\\nrefunc: forged\\tc\\x7f \\x9b \\xff\xc3\xa9\n");
}

/* time() reads a coarser clock, which may still say the second before. */
static time_t whole_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec;
}

Test(log, json_is_one_object_a_line) {
  to_pipe(RF_LOG_WARN, 1);
  time_t before = whole_seconds();
  rf_log(RF_LOG_ERROR, "say \"%s\"\\ \x01 \xc3", "x\ny");
  time_t after = whole_seconds();
  char stamp[64], rest[200];
  cr_assert_eq(sscanf(logged(), "{\"time\":\"%63[^\"]\",%199[^\n]", stamp, rest), 2);
  cr_assert_str_eq(rest, "\"level\":\"error\",\"message\":\"say \\\"x\\ny\\\"\\\\ \\u0001 \\ufffd\"}");
  struct tm tm = {0};
  const char *end = strptime(stamp, "%Y-%m-%dT%H:%M:%S", &tm);
  cr_assert(end && *end == '.' && strlen(end) == 5 && end[4] == 'Z', "%s", stamp);
  time_t said = timegm(&tm);
  cr_assert(said >= before && said <= after);
}

Test(log, long_messages_are_cut) {
  to_pipe(RF_LOG_WARN, 0);
  char *text = malloc(50001);
  memset(text, 'x', 50000);
  text[50000] = 0;
  rf_log(RF_LOG_WARN, "%s", text);
  size_t length = strlen(logged());
  cr_assert(length > 1000 && length < 2048);
  cr_assert_str_eq(got + length - 5, "x...\n");
  memset(text, '\x1b', 50000);
  rf_log(RF_LOG_WARN, "%s", text);
  length = strlen(logged());
  cr_assert(length < 2048);
  cr_assert_str_eq(got + length - 5, "\\x1b\n");
}

static void repeat(int times) {
  for (int i = 0; i < times; i++) rf_log_once(RF_LOG_WARN, "again %d", i);
}

Test(log, once_is_once_until_forgotten) {
  to_pipe(RF_LOG_WARN, 0);
  repeat(3);
  rf_log_once(RF_LOG_WARN, "another");
  cr_assert_str_eq(logged(), "refunc: warning: again 0\nrefunc: warning: another\n");
  rf_log_forget();
  repeat(3);
  cr_assert_str_eq(logged(), "refunc: warning: again 0\n");
}

Test(log, a_format_beyond_the_table_is_silent_not_endless) {
  to_pipe(RF_LOG_WARN, 0);
  static char formats[1000][4];
  for (int i = 0; i < 1000; i++) {
    strcpy(formats[i], "f\n");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-security"
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    rf_log_once(RF_LOG_WARN, formats[i]);
#pragma GCC diagnostic pop
  }
  size_t lines = 0;
  for (const char *at = logged(); (at = strchr(at, '\n')); at++) lines++;
  cr_assert(lines >= 100 && lines < 1000);
}

Test(log, errno_is_kept) {
  to_pipe(RF_LOG_WARN, 0);
  close(ends[1]);
  errno = ENOTTY;
  rf_log(RF_LOG_WARN, "%m");
  cr_assert_eq(errno, ENOTTY);
}

Test(log, a_closed_descriptor_is_silent) {
  to_pipe(RF_LOG_WARN, 0);
  cr_assert_eq(rf_log_fd(), ends[1]);
  close(ends[1]);
  cr_assert_eq(rf_log_fd(), -1);
  rf_log(RF_LOG_WARN, "lost");
  rf_log_block("lost\n", 5, 100);
}

Test(log, a_reused_descriptor_is_left_alone) {
  to_pipe(RF_LOG_WARN, 0);
  char name[] = "/tmp/refunc-log-XXXXXX";
  int data = mkstemp(name);
  dup2(data, ends[1]);
  rf_log(RF_LOG_WARN, "into the app's data");
  rf_log_block("into the app's data\n", 20, 100);
  struct stat file;
  fstat(data, &file);
  unlink(name);
  cr_assert_eq(file.st_size, 0);
  cr_assert_str_eq(logged(), "");
}

Test(log, another_pipe_is_another_file) {
  to_pipe(RF_LOG_WARN, 0);
  int others[2];
  cr_assert_eq(pipe(others), 0);
  dup2(others[1], ends[1]);
  rf_log(RF_LOG_WARN, "into another pipe");
  ends[0] = others[0];
  cr_assert_str_eq(logged(), "");
}

Test(log, nowhere_is_nowhere) {
  rf_log_setup(-1, RF_LOG_DEBUG, 0);
  rf_log(RF_LOG_ERROR, "silent");
  cr_assert_eq(rf_log_fd(), -1);
}

static bool pipe_signal_pending(void) {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGPIPE);
}

Test(log, a_pipe_without_reader_does_not_kill) {
  to_pipe(RF_LOG_WARN, 0);
  close(ends[0]);
  rf_log(RF_LOG_WARN, "lost");
  rf_log_block("lost\n", 5, 1000);
  sigset_t mask;
  sigprocmask(SIG_BLOCK, NULL, &mask);
  cr_assert_not(sigismember(&mask, SIGPIPE), "the mask is as before");
  cr_assert_not(pipe_signal_pending());
}

Test(log, the_apps_own_pending_signal_stays) {
  to_pipe(RF_LOG_WARN, 0);
  close(ends[0]);
  sigset_t pipe_only;
  sigemptyset(&pipe_only);
  sigaddset(&pipe_only, SIGPIPE);
  sigprocmask(SIG_BLOCK, &pipe_only, NULL);
  raise(SIGPIPE);
  rf_log(RF_LOG_WARN, "lost");
  cr_assert(pipe_signal_pending());
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

Test(log, a_full_pipe_is_waited_for_once, .timeout = 20) {
  to_pipe(RF_LOG_WARN, 0);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  while (write(ends[1], got, 1000) > 0) {
  }
  while (write(ends[1], got, 1) > 0) {
  }
  fcntl(ends[1], F_SETFL, 0); /* a blocking write would now hang */
  double start = seconds();
  for (int i = 0; i < 100; i++) rf_log(RF_LOG_WARN, "stuck");
  double first = seconds() - start;
  cr_assert(first > 0.1 && first < 5, "%g s", first);
  logged();
  rf_log(RF_LOG_WARN, "and on");
  cr_assert_str_eq(logged(), "refunc: warning: and on\n");
  while (write(ends[1], got, 4096) > 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0) {
  }
  fcntl(ends[1], F_SETFL, 0);
  start = seconds();
  rf_log_block("report\n", 7, 300);
  double block = seconds() - start;
  cr_assert(block > 0.2 && block < 5, "%g s", block);
}

Test(log, blocks_are_prefixed_line_by_line) {
  to_pipe(RF_LOG_WARN, 0);
  rf_log_block("a\n\n\tb\x1b\nlast", 12, 1000);
  cr_assert_str_eq(logged(), "refunc: a\nrefunc: \nrefunc: \tb\x1b\nrefunc: last");
}

Test(log, long_blocks_arrive_whole) {
  to_pipe(RF_LOG_WARN, 0);
  char block[30000], expected[60000], *in = block, *out = expected;
  for (int i = 0; in < block + 25000; i++) {
    int length = i % 20 == 7 ? 6000 : i % 200;
    for (int j = 0; j < length && in < block + 29000; j++) *in++ = (char)('a' + (i + j) % 26);
    *in++ = '\n';
  }
  bool start = true;
  for (const char *at = block; at < in; at++) {
    if (start) out += sprintf(out, "refunc: ");
    start = (*out++ = *at) == '\n';
  }
  *out = 0;
  rf_log_block(block, (size_t)(in - block), 1000);
  cr_assert_str_eq(logged(), expected);
}

Test(log, a_terminal_gets_no_prefix) {
  int master, slave;
  cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
  rf_log_setup(slave, RF_LOG_WARN, 0);
  rf_log_block("a\nb\n", 4, 1000);
  char seen[64] = "";
  cr_assert_gt(read(master, seen, sizeof seen - 1), 0);
  cr_assert_str_eq(seen, "a\r\nb\r\n");
}

/* An independent statement of what UTF-8 is: decode by arithmetic, then ask for range, shortness and
 * surrogates. */
static size_t utf8_model(const unsigned char *at, size_t length) {
  size_t n = at[0] < 0x80             ? 1
             : (at[0] & 0xe0) == 0xc0 ? 2
             : (at[0] & 0xf0) == 0xe0 ? 3
             : (at[0] & 0xf8) == 0xf0 ? 4
                                      : 0;
  if (n == 0 || n > length) return 0;
  if (n == 1) return 1;
  unsigned code = at[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if (at[i] >> 6 != 2) return 0;
    code = code << 6 | (at[i] & 63);
  }
  static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
  return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

Test(text, utf8_is_told_from_noise) {
  for (unsigned first = 0; first < 256; first++)
    for (unsigned second = 0; second < 256; second++)
      for (unsigned third = 0x60; third < 256; third += 0x20) {
        unsigned char text[] = {(unsigned char)first, (unsigned char)second, (unsigned char)third, 0x85};
        for (size_t length = 1; length <= 4; length++)
          cr_assert_eq(rf_text_utf8((char *)text, length), utf8_model(text, length), "%02x %02x %02x", first,
                       second, third);
      }
  cr_assert_eq(rf_text_utf8("", 0), 0);
}

Test(text, short_rooms_end_at_a_character) {
  char out[8];
  cr_assert_eq(rf_text_visible(out, 4, "ab\xc3\xa9", 4), 2);
  cr_assert_str_eq(out, "ab");
  cr_assert_eq(rf_text_visible(out, 5, "ab\xc3\xa9", 4), 4);
  cr_assert_eq(rf_text_json(out, 8, "\"\"\"\"\"", 5), 6);
  cr_assert_str_eq(out, "\\\"\\\"\\\"");
  cr_assert_eq(rf_text_visible(out, 1, "x", 1), 0);
  cr_assert_str_eq(out, "");
}
