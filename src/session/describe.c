/* See describe.h. Requests and answer share one file in memory, so that neither side can wait for the other.
 */
#include "session/describe.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/arch.h"
#include "base/memory.h"
#include "session/tool.h"

#define DEADLINE_MS 20000
#define MOST_BYTES ((long)256 << 20)

static char *const *tool_environment;

void rf_describe_environment(char *const *environment) { tool_environment = environment; }

static bool write_all(long fd, const char *text) {
  for (size_t left = strlen(text); left;) {
    long written = rf_syscall(SYS_write, fd, text, left);
    if (written <= 0) return false;
    text += written;
    left -= (size_t)written;
  }
  return true;
}

static long write_requests(long fd, const char *const *requests, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!write_all(fd, requests[i]) || !write_all(fd, "\n")) return -1;
  return rf_syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

static bool run_tool(const char *module, long fd) {
  char number[24];
  snprintf(number, sizeof number, "%ld", fd);
  const char *arguments[] = {rf_tool_path(), "describe", "--fd", number, module, NULL};
  return rf_tool_path() && rf_tool_run(arguments, tool_environment, DEADLINE_MS) == 0;
}

static bool read_answer(long fd, long from, char **text, size_t *length) {
  long end = rf_syscall(SYS_lseek, fd, 0, SEEK_END), got = 0;
  if (end < from || end - from > MOST_BYTES) return false;
  *length = (size_t)(end - from);
  *text = rf_malloc(*length + 1);
  while (*text && got < end - from) {
    long bytes = rf_syscall(SYS_pread64, fd, *text + got, end - from - got, from + got);
    if (bytes <= 0) break;
    got += bytes;
  }
  return *text && got == end - from;
}

bool rf_describe(const char *module, const char *const *requests, size_t count, char **text, size_t *length) {
  long fd = rf_syscall(SYS_memfd_create, "refunc", 0);
  if (fd < 0) return false;
  long from = write_requests(fd, requests, count);
  bool good = from >= 0 && run_tool(module, fd) && read_answer(fd, from, text, length);
  rf_syscall(SYS_close, fd);
  return good;
}
