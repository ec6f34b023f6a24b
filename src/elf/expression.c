/*
 * See expression.h. The C library's regcomp and regexec allocate through malloc; rf_internal_enter() makes
 * that Refunc's own heap. They recurse and take arrays from the stack, so they get one of our own. They are
 * called here and nowhere else.
 */
#include "elf/expression.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/thread.h"
#include "elf/names.h"
#include "elf/spare_stack.h"

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
    if (*reader->at == '{') {
      size *= read_interval(reader) + 1;
    } else {
      size *= *reader->at == '+' ? 2 : 1; /* the C library compiles a+ as aa*, and a++ from that */
      reader->at++;
    }
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

/* ---- The C library's part ---- */

struct call {
  void (*body)(struct call *call);
  regex_t *compiled;
  const char *text;
  char *error;
  size_t error_bytes;
  int result;
};

static void compile(struct call *call) {
  call->result = regcomp(call->compiled, call->text, REG_EXTENDED | REG_NOSUB);
  if (call->result != 0) regerror(call->result, call->compiled, call->error, call->error_bytes);
}

static void search(struct call *call) { call->result = regexec(call->compiled, call->text, 0, NULL, 0); }

static void release(struct call *call) { regfree(call->compiled); }

static void run(void *user) {
  struct call *call = user;
  int kept_errno = errno;
  rf_internal_enter();
  call->body(call);
  rf_internal_leave();
  errno = kept_errno;
}

struct rf_expression *rf_expression_new(const char *source, char *error, size_t error_bytes) {
  const char *problem = problem_of(source);
  if (problem) {
    snprintf(error, error_bytes, "%s", problem);
    return NULL;
  }
  struct rf_expression *expression = rf_calloc(1, sizeof *expression);
  snprintf(error, error_bytes, "no memory");
  if (!expression) return NULL;
  struct call call = {compile, &expression->compiled, source, error, error_bytes, -1};
  if (rf_on_spare_stack(RF_SPARE_STACK, run, &call) && call.result == 0) return expression;
  rf_free(expression);
  return NULL;
}

void rf_expression_free(struct rf_expression *expression) {
  if (!expression) return;
  struct call call = {.body = release, .compiled = &expression->compiled};
  run(&call);
  rf_free(expression);
}

bool rf_expression_matches(const struct rf_expression *expression, const char *text) {
  struct call call = {
      .body = search, .compiled = (regex_t *)&expression->compiled, .text = text, .result = -1};
  return rf_on_spare_stack(RF_SPARE_STACK, run, &call) && call.result == 0;
}
