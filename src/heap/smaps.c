/* See smaps.h. */
#include "heap/smaps.h"

#include <fcntl.h>
#include <string.h>

#include "arch/arch.h"

#define LINE 512

struct reader {
  int fd;
  size_t at, end;
  char buffer[8192];
};

static int next_byte(struct reader *reader) {
  if (reader->at == reader->end) {
    long got = rf_syscall(SYS_read, reader->fd, reader->buffer, sizeof reader->buffer);
    if (got <= 0) return -1;
    reader->at = 0;
    reader->end = (size_t)got;
  }
  return (unsigned char)reader->buffer[reader->at++];
}

/* A line without its end; what does not fit is left out. */
static bool next_line(struct reader *reader, char *line) {
  size_t length = 0;
  int c;
  while ((c = next_byte(reader)) >= 0 && c != '\n')
    if (length < LINE - 1) line[length++] = (char)c;
  line[length] = 0;
  return c >= 0 || length;
}

static const char *hex(const char *text, uintptr_t *value) {
  for (*value = 0;; text++) {
    int digit = *text >= '0' && *text <= '9'   ? *text - '0'
                : *text >= 'a' && *text <= 'f' ? *text - 'a' + 10
                                               : -1;
    if (digit < 0) return text;
    *value = *value << 4 | (uintptr_t)digit;
  }
}

static const char *skip_word(const char *text) {
  while (*text && *text != ' ') text++;
  while (*text == ' ') text++;
  return text;
}

/* "start-end perms offset device inode name" */
static void begin(struct rf_mapping *mapping, const char *line) {
  memset(mapping, 0, sizeof *mapping);
  const char *at = hex(line, &mapping->start);
  if (*at == '-') at = hex(at + 1, &mapping->end);
  at = skip_word(at);
  mapping->readable = at[0] == 'r';
  mapping->writable = at[0] && at[1] == 'w';
  mapping->executable = at[0] && at[1] && at[2] == 'x';
  mapping->shared = strnlen(at, 4) == 4 && at[3] == 's';
  at = skip_word(skip_word(skip_word(at)));
  mapping->file = *at && *at != '0';
  at = skip_word(at);
  for (size_t i = 0; i < sizeof mapping->name - 1 && at[i]; i++) mapping->name[i] = at[i];
}

static uint64_t bytes_in(const char *at) {
  uint64_t kib = 0;
  for (; *at; at++)
    if (*at >= '0' && *at <= '9') kib = kib * 10 + (uint64_t)(*at - '0');
  return kib * 1024;
}

/* Marked as left out of core dumps, and, where no file lies under it, as not reserved: an app's own memory
 * has hardly both. "special" are pages of devices, and those that another thread provides (userfaultfd). */
static void take_flags(struct rf_mapping *mapping, const char *line) {
  mapping->own = strstr(line, " dd") && (mapping->file ? mapping->shared : strstr(line, " nr") != NULL);
  mapping->special = strstr(line, " io") || strstr(line, " pf") || strstr(line, " um") || strstr(line, " ui");
}

static void take(struct rf_mapping *mapping, const char *line) {
  if (!strncmp(line, "Rss:", 4))
    mapping->rss_bytes = bytes_in(line + 4);
  else if (!strncmp(line, "Swap:", 5))
    mapping->swap_bytes = bytes_in(line + 5);
  else if (!strncmp(line, "Anonymous:", 10))
    mapping->anonymous_bytes = bytes_in(line + 10);
  else if (!strncmp(line, "VmFlags:", 8))
    take_flags(mapping, line);
}

static bool is_key(const char *line) { return line[0] >= 'A' && line[0] <= 'Z'; }

bool rf_smaps_visit(void (*visit)(void *user, const struct rf_mapping *mapping), void *user) {
  struct reader reader = {
      .fd = (int)rf_syscall(SYS_openat, AT_FDCWD, "/proc/self/smaps", O_RDONLY | O_CLOEXEC)};
  struct rf_mapping mapping = {0};
  char line[LINE];
  if (reader.fd < 0) return false;
  while (next_line(&reader, line)) {
    if (is_key(line)) {
      take(&mapping, line);
      continue;
    }
    if (mapping.end) visit(user, &mapping);
    begin(&mapping, line);
  }
  if (mapping.end) visit(user, &mapping);
  rf_syscall(SYS_close, reader.fd);
  return true;
}
