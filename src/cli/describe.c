/*
 * refunc describe: what DWARF says of functions. The library runs it with --fd N, a file that holds the
 * requests, one a line; the answer goes behind them. By hand: refunc describe MODULE OFFSET:SYMBOL...
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/dwarf_types.h"
#include "cli/output.h"

#define MOST_REQUEST_BYTES ((size_t)64 << 20)

static void add_request(struct rf_dwarf *dwarf, const char *request, struct rf_buffer *out) {
  char *symbol;
  uint64_t offset = strtoull(request, &symbol, 16);
  if (*symbol == ':') rf_dwarf_function(dwarf, offset, symbol + 1, out);
}

static void add_requests(struct rf_dwarf *dwarf, char *requests, struct rf_buffer *out) {
  for (char *line = requests, *end; line && *line; line = end) {
    end = strchr(line, '\n');
    if (end) *end++ = '\0';
    add_request(dwarf, line, out);
  }
}

static char *read_requests(int fd, size_t *length) {
  off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0 || (size_t)size > MOST_REQUEST_BYTES) return NULL;
  char *text = malloc((size_t)size + 1);
  ssize_t got = text ? pread(fd, text, (size_t)size, 0) : -1;
  if (got < 0) {
    free(text);
    return NULL;
  }
  text[got] = '\0';
  *length = (size_t)got;
  return text;
}

static int answer(int fd, const char *module, char **requests) {
  struct rf_buffer out = {0};
  size_t length = 0;
  char *text = fd >= 0 ? read_requests(fd, &length) : NULL;
  struct rf_dwarf *dwarf = rf_dwarf_open(module);
  if (text) add_requests(dwarf, text, &out);
  for (; *requests; requests++) add_request(dwarf, *requests, &out);
  if (dwarf) rf_dwarf_types(dwarf, &out);
  rf_dwarf_close(dwarf);
  bool good = rf_write_all(fd >= 0 ? fd : STDOUT_FILENO, out.bytes, out.length, -1);
  rf_buffer_free(&out);
  free(text);
  return good ? RF_OK : RF_UNUSABLE;
}

static int run_describe(int argc, char **argv) {
  struct rf_args args = rf_args_begin(argc, argv);
  const char *fd = NULL;
  while (rf_args_at_option(&args)) {
    static const char *const known[] = {"--fd", NULL};
    if (!rf_args_value(&args, "--fd", &fd))
      return rf_args_unknown(&args, RF_UNUSABLE, "describe", known, false);
    if (!fd) return rf_args_no_value(&args, RF_UNUSABLE, "describe");
  }
  if (args.next >= argc) return rf_fail(RF_UNUSABLE, "describe: which module?");
  unsetenv("DEBUGINFOD_URLS"); /* debug files of this machine only */
  return answer(fd ? atoi(fd) : -1, argv[args.next], argv + args.next + 1);
}

const struct rf_command rf_command_describe = {
    .name = "describe",
    .usage = "MODULE OFFSET:SYMBOL...",
    .summary = "types of functions' parameters, from the module's debug information",
    .internal = true,
    .run = run_describe};
