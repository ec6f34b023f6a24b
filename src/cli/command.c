/* See command.h. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "recording/place.h"
#include "report/display.h"

const struct rf_command *rf_command_find(const char *name) {
  for (size_t i = 0; rf_commands[i]; i++)
    if (strcmp(rf_commands[i]->name, name) == 0) return rf_commands[i];
  return NULL;
}

int rf_fail(int status, const char *format, ...) {
  char text[4096];
  const struct rf_style style = {.unicode = false, .width = 100};
  struct rf_buffer line = {0};
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  rf_buffer_text(&line, "refunc: ");
  rf_add_text(&line, text, rf_text_columns(text, &style), &style); /* names come from files: shown escaped */
  rf_buffer_char(&line, '\n');
  fwrite(line.bytes, 1, line.length, stderr);
  rf_buffer_free(&line);
  return status;
}

const char *rf_variable(const char *name) { return rf_place_variable(environ, name); }

int rf_tolerance(const char *value, double *tolerance, const char *command) {
  char *end;
  double number = strtod(value, &end);
  if (*end == '%' && !end[1])
    number /= 100;
  else if (*end)
    end = (char *)value;
  if (end == value || !(number >= 0) || number > 1e6)
    return rf_fail(RF_UNUSABLE, "%s: --tolerance %s: should be a share, such as 25%% or 0.25", command,
                   value);
  *tolerance = number;
  return RF_OK;
}

struct rf_args rf_args_begin(int argc, char **argv) {
  return (struct rf_args){.argc = argc, .next = 1, .argv = argv};
}

bool rf_args_at_option(const struct rf_args *args) {
  if (args->next >= args->argc) return false;
  const char *at = args->argv[args->next];
  return at[0] == '-' && at[1] && strcmp(at, "--") != 0;
}

bool rf_args_flag(struct rf_args *args, const char *name) {
  if (args->next >= args->argc || strcmp(args->argv[args->next], name) != 0) return false;
  args->next++;
  return true;
}

bool rf_args_value(struct rf_args *args, const char *name, const char **value) {
  size_t length = strlen(name);
  if (args->next >= args->argc || strncmp(args->argv[args->next], name, length) != 0) return false;
  const char *rest = args->argv[args->next] + length;
  if (*rest && *rest != '=') return false;
  args->next++;
  if (*rest == '=')
    *value = rest + 1;
  else
    *value = args->next < args->argc ? args->argv[args->next++] : NULL;
  return true;
}

bool rf_args_dashes(struct rf_args *args) { return rf_args_flag(args, "--"); }

/* --heap.mode stands for heap.mode, --preset for refunc.preset. */
static const char *shown_key(enum rf_option option) {
  const char *key = rf_option_key(option);
  return strncmp(key, "refunc.", 7) == 0 ? key + 7 : key;
}

int rf_args_unknown(const struct rf_args *args, int status, const char *command, const char *const *known,
                    bool settings) {
  const char *candidates[64 + RF_OPTION_COUNT];
  size_t count = 0;
  for (; known && *known && count < 64; known++) candidates[count++] = *known + 2;
  for (int i = 0; settings && i < RF_OPTION_COUNT; i++) candidates[count++] = shown_key((enum rf_option)i);
  char name[256];
  snprintf(name, sizeof name, "%s", args->argv[args->next] + strspn(args->argv[args->next], "-"));
  name[strcspn(name, "=")] = 0;
  const char *nearest = rf_nearest(name, candidates, count);
  if (nearest)
    return rf_fail(status, "%s: unknown option %s; did you mean --%s? (refunc %s --help lists them)", command,
                   args->argv[args->next], nearest, command);
  return rf_fail(status, "%s: unknown option %s (refunc %s --help lists them)", command,
                 args->argv[args->next], command);
}

int rf_args_no_value(const struct rf_args *args, int status, const char *command) {
  return rf_fail(status, "%s: %s needs a value", command, args->argv[args->next - 1]);
}
