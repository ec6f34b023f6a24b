/* See output.h. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "report/buffer.h"

static long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

/* Waits until fd takes bytes; false when the deadline passes first. */
static bool writable_by(int fd, long long deadline) {
  struct pollfd wait = {.fd = fd, .events = POLLOUT};
  long long left = deadline < 0 ? -1 : deadline - now_ms();
  if (deadline >= 0 && left <= 0) {
    errno = ETIMEDOUT;
    return false;
  }
  int ready = poll(&wait, 1, (int)left);
  if (ready == 0) errno = ETIMEDOUT;
  return ready > 0 || (ready < 0 && errno == EINTR);
}

bool rf_write_all(int fd, const char *bytes, size_t length, int deadline_ms) {
  long long deadline = deadline_ms < 0 ? -1 : now_ms() + deadline_ms;
  while (length) {
    if (!writable_by(fd, deadline)) return false;
    /* A pipe that polls writable takes a page without blocking, even where the descriptor is a blocking one.
     */
    ssize_t n = write(fd, bytes, deadline_ms < 0 || length < 4096 ? length : 4096);
    if (n < 0 && errno != EINTR && errno != EAGAIN) return false;
    if (n <= 0) continue;
    bytes += n;
    length -= (size_t)n;
  }
  return true;
}

bool rf_write_marked(int fd, const char *prefix, const char *bytes, size_t length, int deadline_ms) {
  if (isatty(fd)) return rf_write_all(fd, bytes, length, deadline_ms);
  struct rf_buffer marked = {0};
  for (const char *at = bytes, *end = bytes + length; at < end;) {
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    size_t line = newline ? (size_t)(newline + 1 - at) : (size_t)(end - at);
    size_t mark = strlen(prefix);
    if (line == 1) /* no blanks at the end of a line */
      while (mark && prefix[mark - 1] == ' ') mark--;
    rf_buffer_add(&marked, prefix, mark);
    rf_buffer_add(&marked, at, line);
    at += line;
  }
  bool done = !marked.length || rf_write_all(fd, marked.bytes, marked.length, deadline_ms);
  int why = errno;
  rf_buffer_free(&marked);
  errno = why;
  return done;
}

static bool replace_file(const char *path, const char *bytes, size_t length) {
  char *temporary;
  if (asprintf(&temporary, "%s.XXXXXX", path) < 0) return false;
  int fd = mkostemp(temporary, O_CLOEXEC);
  mode_t mask = umask(0);
  umask(mask);
  bool done = fd >= 0 && fchmod(fd, 0666 & ~mask) == 0 && rf_write_all(fd, bytes, length, -1);
  if (fd >= 0) done = close(fd) == 0 && done && rename(temporary, path) == 0;
  int why = errno;
  if (fd >= 0 && !done) unlink(temporary);
  free(temporary);
  errno = why;
  return done;
}

bool rf_write_file(const char *path, const char *bytes, size_t length) {
  struct stat status;
  if (stat(path, &status) < 0 || S_ISREG(status.st_mode)) return replace_file(path, bytes, length);
  int fd = open(path, O_WRONLY | O_CLOEXEC); /* /dev/stdout, a pipe, a terminal */
  if (fd < 0) return false;
  bool done = rf_write_all(fd, bytes, length, -1);
  return close(fd) == 0 && done;
}
