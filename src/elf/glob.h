/* Globs: * stands for any bytes, also none and "::", ? for one; the * of operator* stands for itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether a pattern has a * or ? that is not part of operator*, operator*=, operator->*. */
bool rf_is_glob(const char *pattern, size_t length);

/* A glob whose bytes are classified once: wild[i] says that glob[i] is a wildcard. */
struct rf_glob {
  const char *text;
  const unsigned char *wild;
  size_t length;
};

/* Fills wild (length bytes). */
void rf_glob_classify(unsigned char *wild, const char *text, size_t length);

/* Whether text as a whole matches. Time: at worst the product of both lengths. */
bool rf_glob_matches(const struct rf_glob *glob, const char *text, size_t length);

/* A whole match of text that is not classified, for module names. */
bool rf_glob_matches_simple(const char *glob, const char *text);
