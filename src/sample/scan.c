/* See scan.h. */
#include "sample/scan.h"

static bool blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

bool rf_scan_line(struct rf_scan *text, struct rf_scan *line) {
  if (text->at >= text->end) return false;
  const char *start = text->at;
  while (text->at < text->end && *text->at != '\n') text->at++;
  *line = (struct rf_scan){start, text->at};
  if (text->at < text->end) text->at++;
  return true;
}

bool rf_scan_word(struct rf_scan *line, struct rf_scan *word) {
  while (line->at < line->end && blank(*line->at)) line->at++;
  const char *start = line->at;
  while (line->at < line->end && !blank(*line->at)) line->at++;
  *word = (struct rf_scan){start, line->at};
  return start < line->at;
}

bool rf_scan_number(struct rf_scan *line, uint64_t *value) {
  while (line->at < line->end && blank(*line->at)) line->at++;
  const char *start = line->at;
  uint64_t number = 0;
  for (; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++)
    if (__builtin_mul_overflow(number, 10, &number) ||
        __builtin_add_overflow(number, (uint64_t)(*line->at - '0'), &number))
      return false;
  *value = number;
  return start < line->at;
}

bool rf_scan_prefix(struct rf_scan *text, const char *prefix) {
  const char *at = text->at;
  for (; *prefix; prefix++, at++)
    if (at >= text->end || *at != *prefix) return false;
  text->at = at;
  return true;
}

bool rf_scan_equals(struct rf_scan word, const char *literal) {
  return rf_scan_prefix(&word, literal) && word.at == word.end;
}

bool rf_scan_until(struct rf_scan *text, char separator, struct rf_scan *before) {
  for (const char *at = text->at; at < text->end; at++) {
    if (*at != separator) continue;
    *before = (struct rf_scan){text->at, at};
    text->at = at + 1;
    return true;
  }
  return false;
}

bool rf_scan_key(struct rf_scan text, const char *key, uint64_t *value) {
  struct rf_scan line;
  while (rf_scan_line(&text, &line))
    if (rf_scan_prefix(&line, key)) return rf_scan_number(&line, value);
  return false;
}

size_t rf_scan_length(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}

struct rf_note rf_note_in(char *bytes, size_t size) {
  bytes[0] = 0;
  return (struct rf_note){bytes, bytes + size - 1};
}

void rf_note_add_scan(struct rf_note *text, struct rf_scan more) {
  while (more.at < more.end && text->at < text->end) *text->at++ = *more.at++;
  *text->at = 0;
}

void rf_note_add(struct rf_note *text, const char *more) {
  rf_note_add_scan(text, (struct rf_scan){more, more + rf_scan_length(more)});
}

void rf_note_add_number(struct rf_note *text, uint64_t value) {
  char digits[20];
  char *start = digits + sizeof digits;
  do *--start = (char)('0' + value % 10);
  while (value /= 10);
  rf_note_add_scan(text, (struct rf_scan){start, digits + sizeof digits});
}

void rf_note_add_bytes(struct rf_note *text, uint64_t bytes) {
  static const char units[][5] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
  unsigned unit = 0;
  uint64_t whole = bytes, rest = 0;
  for (; whole >= 1024; unit++) rest = whole % 1024, whole /= 1024;
  rf_note_add_number(text, whole);
  if (rest && whole < 100) {
    rf_note_add(text, ".");
    rf_note_add_number(text, rest * 10 / 1024);
  }
  rf_note_add(text, units[unit]);
}
