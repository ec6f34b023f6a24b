/* See glob.h. */
#include "elf/glob.h"

#include <stdint.h>

#include "elf/names.h"

void rf_glob_classify(unsigned char *wild, const char *text, size_t length) {
  for (size_t at = 0; at < length;) {
    if (rf_name_is_operator(text, length, at)) {
      size_t end = rf_name_operator_end(text, length, at + 8);
      while (at < end) wild[at++] = 0;
      continue;
    }
    wild[at] = text[at] == '*' || text[at] == '?';
    at++;
  }
}

bool rf_is_glob(const char *pattern, size_t length) {
  for (size_t at = 0; at < length;) {
    if (rf_name_is_operator(pattern, length, at)) {
      at = rf_name_operator_end(pattern, length, at + 8);
      continue;
    }
    if (pattern[at] == '*' || pattern[at] == '?') return true;
    at++;
  }
  return false;
}

/* The last star takes one byte more whenever what follows it fails; earlier stars never need to be tried
 * again. */
bool rf_glob_matches(const struct rf_glob *glob, const char *text, size_t length) {
  size_t g = 0, t = 0, star = SIZE_MAX, star_text = 0;
  while (t < length) {
    bool wild = g < glob->length && glob->wild[g];
    if (wild && glob->text[g] == '*') {
      star = g++;
      star_text = t;
    } else if (g < glob->length && (wild || glob->text[g] == text[t])) {
      g++;
      t++;
    } else if (star != SIZE_MAX) {
      g = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (g < glob->length && glob->wild[g] && glob->text[g] == '*') g++;
  return g == glob->length;
}

bool rf_glob_matches_simple(const char *glob, const char *text) {
  const char *star = NULL, *star_text = NULL;
  while (*text) {
    if (*glob == '*') {
      star = glob++;
      star_text = text;
    } else if (*glob && (*glob == '?' || *glob == *text)) {
      glob++;
      text++;
    } else if (star) {
      glob = star + 1;
      text = ++star_text;
    } else {
      return false;
    }
  }
  while (*glob == '*') glob++;
  return *glob == '\0';
}
