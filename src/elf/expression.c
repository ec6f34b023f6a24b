/*
 * See expression.h. The C library's regcomp and regexec allocate through malloc; rf_internal_enter() makes
 * that Refunc's own heap. They are called here and nowhere else.
 */
#include "elf/expression.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "elf/names.h"

#define DEPTH_LIMIT 50
#define SIZE_LIMIT 5000

struct rf_expression {
  regex_t compiled;
};

/* ---- How large an expression becomes when its repetitions are written out ---- */

struct reader {
  const char *at;
  size_t depth;
  const char *problem; /* NULL: none so far */
};

static double read_sequence(struct reader *reader);

static void skip_bracket(struct reader *reader) {
  const char *at = reader->at + 1;
  if (*at == '^') at++;
  if (*at == ']') at++;
  while (*at && *at != ']') {
    bool class = at[0] == '[' && (at[1] == ':' || at[1] == '.' || at[1] == '=');
    const char *end = class ? strchr(at + 2, ']') : NULL;
    at = end ? end + 1 : at + 1;
  }
  reader->at = *at ? at + 1 : at;
}

static double read_group(struct reader *reader) {
  if (++reader->depth > DEPTH_LIMIT) {
    reader->problem = "groups are nested deeper than 50";
    return 1;
  }
  reader->at++;
  double size = read_sequence(reader);
  if (*reader->at == ')') reader->at++;
  reader->depth--;
  return size + 1;
}

static double read_atom(struct reader *reader) {
  char c = *reader->at;
  if (c == '(') return read_group(reader);
  if (c == '[') {
    skip_bracket(reader);
    return 1;
  }
  if (c == '\\' && reader->at[1]) {
    if (reader->at[1] >= '1' && reader->at[1] <= '9') reader->problem = "back references are not supported";
    reader->at++;
  }
  reader->at++;
  return 1;
}

/* The largest count of {m,n}; {m,} counts as m + 1. */
static double read_interval(struct reader *reader) {
  const char *end = reader->at + 1;
  size_t low = rf_name_number(&end), high = low;
  if (*end == ',') {
    const char *from = ++end;
    high = rf_name_number(&end);
    if (end == from) high = low + 1;
  }
  reader->at = *end == '}' ? end + 1 : reader->at + 1;
  return (double)(high > low ? high : low);
}

static double read_repeated(struct reader *reader) {
  double size = read_atom(reader);
  while (!reader->problem && *reader->at && strchr("*+?{", *reader->at)) {
    if (*reader->at == '{')
      size *= read_interval(reader) + 1;
    else
      reader->at++;
  }
  return size;
}

static double read_sequence(struct reader *reader) {
  double size = 0;
  while (*reader->at && !(*reader->at == ')' && reader->depth > 0) && !reader->problem)
    size += read_repeated(reader);
  return size;
}

static const char *problem_of(const char *source) {
  struct reader reader = {.at = source};
  double size = read_sequence(&reader);
  if (reader.problem) return reader.problem;
  return size > SIZE_LIMIT ? "its repetitions stand for more than 5,000 elements" : NULL;
}

/* ---- Compiling and matching ---- */

struct rf_expression *rf_expression_new(const char *source, char *error, size_t error_bytes) {
  const char *problem = problem_of(source);
  if (problem) {
    snprintf(error, error_bytes, "%s", problem);
    return NULL;
  }
  struct rf_expression *expression = rf_calloc(1, sizeof *expression);
  if (!expression) {
    snprintf(error, error_bytes, "no memory");
    return NULL;
  }
  rf_internal_enter();
  int result = regcomp(&expression->compiled, source, REG_EXTENDED | REG_NOSUB);
  if (result != 0) regerror(result, &expression->compiled, error, error_bytes);
  rf_internal_leave();
  if (result == 0) return expression;
  rf_free(expression);
  return NULL;
}

void rf_expression_free(struct rf_expression *expression) {
  if (!expression) return;
  rf_internal_enter();
  regfree(&expression->compiled);
  rf_internal_leave();
  rf_free(expression);
}

bool rf_expression_matches(const struct rf_expression *expression, const char *text) {
  rf_internal_enter();
  bool matches = regexec(&expression->compiled, text, 0, NULL, 0) == 0;
  rf_internal_leave();
  return matches;
}
