/* One pattern, read and ready to be compared; pattern.c holds sets of them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "elf/expression.h"

enum rf_pattern_kind { RF_EXACT, RF_GLOB, RF_REGEX };

struct rf_one_pattern {
  char *text;   /* as it was given */
  char *module; /* NULL: any */
  char *plain;  /* exact, glob: plain spelling; regex: source */
  size_t length;
  enum rf_pattern_kind kind;
  bool with_parameters, without_parameters; /* which spellings of a C++ name it is compared with */
  bool mangled;                             /* compared with the mangled name as well: begins with _Z or _R */
  bool tags;                                /* names an [abi:...] tag */
  bool everything;                          /* nothing but stars */
  int same_text;                            /* next exact pattern with this text, or -1 */
  unsigned char *wild;
  struct rf_expression *expression;
};

/* Reads a pattern. False: error says in one line what is wrong and what would be right. */
bool rf_one_pattern_read(struct rf_one_pattern *pattern, const char *text, char *error, size_t error_bytes);
void rf_one_pattern_release(struct rf_one_pattern *pattern);

/* Whether the pattern is meant for a module (by its file's base name). */
bool rf_one_pattern_in_module(const struct rf_one_pattern *pattern, const char *module);
