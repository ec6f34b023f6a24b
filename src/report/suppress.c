/* See suppress.h. */
#include "report/suppress.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report/symbolize.h"

struct rf_suppressions {
  const char **pattern;
  size_t count;
};

/* Whether pattern, from here on, matches a beginning of text (all of it, if it ends in "$"). */
static bool matches_here(const char *pattern, const char *text) {
  for (; *pattern && *pattern != '*'; pattern++, text++) {
    if (*pattern == '$' && !pattern[1]) return !*text;
    if (*pattern != *text) return false;
  }
  if (!*pattern) return true;
  while (*pattern == '*') pattern++;
  do
    if (matches_here(pattern, text)) return true;
  while (*text++);
  return false;
}

static bool matches(const char *pattern, const char *text) {
  if (*pattern == '^') return matches_here(pattern + 1, text);
  do
    if (matches_here(pattern, text)) return true;
  while (*text++);
  return false;
}

static void take_line(struct rf_arena *arena, struct rf_suppressions *suppressions, char *line) {
  line[strcspn(line, "\r\n")] = 0;
  line += strspn(line, " \t");
  if (strncmp(line, "leak:", 5) != 0 || !line[5]) return;
  const char **place = rf_arena_push(arena, &suppressions->pattern, suppressions->count++, sizeof *place);
  *place = rf_arena_text(arena, line + 5);
}

struct rf_suppressions *rf_suppressions_read(struct rf_arena *arena, const char *path, const char **problem) {
  char line[4096];
  if (!*path) return NULL;
  FILE *file = fopen(path, "re");
  if (!file) {
    *problem = rf_arena_printf(arena, "%s: %s", path, strerror(errno));
    return NULL;
  }
  struct rf_suppressions *suppressions = rf_arena_alloc(arena, sizeof *suppressions);
  while (fgets(line, sizeof line, file)) take_line(arena, suppressions, line);
  fclose(file);
  if (!suppressions->count) *problem = rf_arena_printf(arena, "%s: no line begins with leak:", path);
  return suppressions->count ? suppressions : NULL;
}

static bool any_matches(const struct rf_suppressions *suppressions, const char *text) {
  for (size_t i = 0; i < suppressions->count; i++)
    if (matches(suppressions->pattern[i], text)) return true;
  return false;
}

bool rf_suppressed(const struct rf_suppressions *suppressions, const struct rf_report *report,
                   const struct rf_report_site *site) {
  for (size_t i = 0; suppressions && i < site->depth; i++) {
    size_t count;
    const struct rf_report_symbol *symbol = rf_symbols_of(report, &site->frame[i], &count);
    uint32_t module = site->frame[i].module;
    if (module != RF_NO_MODULE && any_matches(suppressions, report->heap.module[module].path)) return true;
    for (size_t k = 0; k < count; k++)
      if (any_matches(suppressions, symbol[k].function) || any_matches(suppressions, symbol[k].file))
        return true;
  }
  return false;
}
