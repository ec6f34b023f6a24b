/*
 * One wrong line must not cost the lines below it, but a YAML parser ends at the first error. So the text is
 * tried, the place of the error is reported and blanked out, and the text tried again:
 *
 *   trace:                  trace:              What is blanked is a line and what belongs to it: the lines below
 *     functions:              functions:        that are indented deeper; where a [ or { was open, all of it from
 *       - f            ──▶      - f             the line it began on.
 *       - *_g
 *       - h                     - h
 *
 * Errors are seldom where the parser stumbles: an open quote or bracket is noticed at the end of the file.
 */
#include "base/config_mend.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define TRIES_MAX 20
#define BYTES_MAX (16u << 20) /* all tries together read about this much */
#define NESTING_MAX 32
#define SHOWN 80

struct file {
  char *text;
  size_t length;
  const struct rf_config_handler *handler;
};

/* What is wrong: the line to report, the line where the thing to blank begins, and why. */
struct trouble {
  size_t line, begin;
  const char *reason;
};

/* What is open at the end of the events so far. */
struct open {
  int nesting, flow;
  size_t flow_line; /* where the outermost [ or { stands */
};

/* ---- lines ---- */

static size_t line_start(const struct file *file, size_t line) {
  size_t at = 0;
  for (; line > 0 && at < file->length; line--) {
    const char *end = memchr(file->text + at, '\n', file->length - at);
    at = end ? (size_t)(end - file->text) + 1 : file->length;
  }
  return at;
}

static size_t line_length(const struct file *file, size_t start) {
  const char *end = memchr(file->text + start, '\n', file->length - start);
  return end ? (size_t)(end - file->text) - start : file->length - start;
}

static size_t line_of(const struct file *file, size_t offset) {
  size_t line = 0;
  for (size_t i = 0; i < offset && i < file->length; i++) line += file->text[i] == '\n';
  return line;
}

static size_t indentation(const struct file *file, size_t start) {
  size_t blanks = 0;
  while (start + blanks < file->length && file->text[start + blanks] == ' ') blanks++;
  return blanks;
}

static bool is_blank(const struct file *file, size_t start) {
  return indentation(file, start) >= line_length(file, start);
}

/* Blanks a line and what belongs to it. False when the line was blank: that would help nothing. */
static bool blank(struct file *file, size_t line) {
  size_t start = line_start(file, line), depth = indentation(file, start);
  if (start >= file->length || is_blank(file, start)) return false;
  do {
    size_t length = line_length(file, start);
    memset(file->text + start, ' ', length);
    start += length + 1;
  } while (start < file->length && (is_blank(file, start) || indentation(file, start) > depth));
  return true;
}

/* ---- reports ---- */

/* The key and the value that a line seems to hold, copied and cut. */
static void look_at_line(const struct file *file, size_t line, char *key, char *value) {
  size_t start = line_start(file, line), end = start + line_length(file, start);
  const char *at = file->text + start, *stop = file->text + end;
  while (at < stop && (*at == ' ' || *at == '\t' || (*at == '-' && at + 1 < stop && at[1] == ' '))) at++;
  const char *colon = at;
  while (colon < stop && !(colon[0] == ':' && (colon + 1 == stop || colon[1] == ' '))) colon++;
  size_t key_length = colon < stop && colon - at < SHOWN ? (size_t)(colon - at) : 0;
  memcpy(key, at, key_length);
  key[key_length] = 0;
  if (key_length) at = colon + 1;
  while (at < stop && (*at == ' ' || *at == '\t')) at++;
  while (stop > at && strchr(" \t\r", stop[-1])) stop--;
  size_t length = stop - at < SHOWN ? (size_t)(stop - at) : SHOWN - 1;
  memcpy(value, at, length);
  value[length] = 0;
}

/* Whether YAML takes the first character for itself. */
static bool begins_with_sign(const char *text) { return *text && strchr("*&!>|%@`", *text); }

static void report(const struct file *file, const struct trouble *trouble) {
  char key[SHOWN], value[SHOWN], hint[SHOWN * 2];
  look_at_line(file, trouble->line, key, value);
  const char *begins = begins_with_sign(key) ? key : value;
  if (begins_with_sign(begins))
    snprintf(hint, sizeof hint, "text that begins with '%c' must be quoted: '%s'", *begins, begins);
  else
    snprintf(hint, sizeof hint, "not valid YAML: %s%s", trouble->reason,
             strstr(value, ": ") ? "; quote text that has ': ' in it" : "");
  file->handler->problem(file->handler->user, (unsigned)trouble->line + 1, begins == key ? "" : key, hint);
}

/* ---- tries ---- */

/* Where the thing began in which the parser stumbled, except for a block, which began long before. */
static size_t context_line(const yaml_parser_t *p) {
  bool began = p->context && strncmp(p->context, "while parsing a block", 21) != 0;
  return began && p->context_mark.line < p->problem_mark.line ? p->context_mark.line : p->problem_mark.line;
}

/* A bracket is taken for never closed when the parser stumbles on a line that is indented no deeper than the
 * bracket's. */
static struct trouble in_flow(const struct file *file, const yaml_parser_t *p, size_t flow_line) {
  size_t stumbled = p->problem_mark.line;
  if (indentation(file, line_start(file, stumbled)) > indentation(file, line_start(file, flow_line)))
    return (struct trouble){stumbled, flow_line, p->problem};
  return (struct trouble){flow_line, flow_line, "what [ or { opens is not closed"};
}

static struct trouble trouble_of(const struct file *file, const yaml_parser_t *p, const struct open *open) {
  size_t line = p->error == YAML_READER_ERROR ? line_of(file, p->problem_offset) : context_line(p);
  if (p->error != YAML_READER_ERROR && open->flow > 0 && open->flow_line < p->problem_mark.line)
    return in_flow(file, p, open->flow_line);
  return (struct trouble){line, line, p->problem ? p->problem : "out of memory"};
}

static bool flow_style(const yaml_event_t *event) {
  return event->type == YAML_SEQUENCE_START_EVENT
             ? event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
             : event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
}

static void follow(struct open *open, const yaml_event_t *event) {
  if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT) {
    open->nesting++;
    if (open->flow == 0 && flow_style(event)) open->flow_line = event->start_mark.line;
    if (open->flow > 0 || flow_style(event)) open->flow++; /* in flow everything is flow */
  } else if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT) {
    open->nesting--;
    if (open->flow > 0) open->flow--;
  }
}

/* Runs the parser through the text. Whether there is no error and the nesting is sane; else *trouble. */
static bool well_formed(const struct file *file, struct trouble *trouble) {
  yaml_parser_t parser;
  struct open open = {0};
  bool good, end = false;
  if (!yaml_parser_initialize(&parser)) return true; /* without memory nothing is read */
  yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&parser, (const unsigned char *)file->text, file->length);
  do {
    yaml_event_t event;
    good = yaml_parser_parse(&parser, &event);
    if (!good) {
      *trouble = trouble_of(file, &parser, &open);
      break;
    }
    follow(&open, &event);
    end = event.type == YAML_STREAM_END_EVENT;
    good = open.nesting <= NESTING_MAX;
    *trouble = (struct trouble){event.start_mark.line, event.start_mark.line, "nested too deeply"};
    yaml_event_delete(&event);
  } while (good && !end);
  yaml_parser_delete(&parser);
  return good;
}

size_t rf_config_mend(char *text, size_t length, const struct rf_config_handler *handler) {
  struct file file = {text, length, handler};
  struct trouble trouble;
  size_t tries = length ? BYTES_MAX / length + 1 : 1;
  if (tries > TRIES_MAX) tries = TRIES_MAX;
  while (!well_formed(&file, &trouble)) {
    report(&file, &trouble);
    if (tries-- > 1 && blank(&file, trouble.begin)) continue;
    handler->problem(handler->user, (unsigned)trouble.line + 1, "",
                     "too much that is not valid YAML: nothing from here on was read");
    file.length = line_start(&file, trouble.begin);
    return well_formed(&file, &trouble) ? file.length : 0;
  }
  return file.length;
}
