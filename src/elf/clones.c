/*
 * Compilers name the copies that they make of a function after it: f.constprop.0, f.isra.1.part.2, f.cold,
 * f.llvm.123. What stands before the suffixes is the source's name.
 */
#include <stdbool.h>
#include <string.h>

#include "elf/names.h"
#include "elf/pattern.h"

static bool all_digits(const char *text, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (text[i] < '0' || text[i] > '9') return false;
  return length > 0;
}

static bool is_suffix(const char *word, size_t length) {
  static const char *const words[] = {"constprop", "isra", "part",    "cold",   "warm",       "__part",
                                      "lto_priv",  "llvm", "clone",   "__uniq", "localalias", "default",
                                      "avx",       "avx2", "avx512f", "sse4_2", "fma",        "popcnt"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strlen(words[i]) == length && memcmp(words[i], word, length) == 0) return true;
  return length > 5 && memcmp(word, "arch_", 5) == 0;
}

/* Index of the last '.' of symbol[0..length), or 0. */
static size_t last_dot(const char *symbol, size_t length) {
  while (length > 0 && symbol[length - 1] != '.') length--;
  return length > 0 ? length - 1 : 0;
}

/* A nested function of GNU C, inner.0; Go's main.f.1 is no such thing. */
static bool is_identifier(const char *symbol, size_t length) {
  for (size_t i = 0; i < length; i++)
    if (!rf_name_is_word(symbol[i])) return false;
  return length > 0;
}

size_t rf_symbol_base_length(const char *symbol) {
  size_t length = strlen(symbol);
  bool dots = memchr(symbol, '.', length) != NULL;
  while (dots) {
    size_t dot = last_dot(symbol, length), end = dot;
    if (dot == 0) return length;
    if (all_digits(symbol + dot + 1, length - dot - 1)) {
      if (is_identifier(symbol, dot)) return dot;
      end = length;
      size_t word = last_dot(symbol, dot);
      if (word == 0 || !is_suffix(symbol + word + 1, dot - word - 1)) return length;
      length = word;
    } else if (is_suffix(symbol + dot + 1, length - dot - 1)) {
      length = end;
    } else {
      return length;
    }
  }
  return length;
}

/* GCC's and LLVM's cold parts, BOLT's warm ones, and those of functions in sections of basic blocks. */
bool rf_symbol_is_cold(const char *symbol) {
  static const char *const parts[] = {".cold", ".warm", ".__part"};
  size_t base = rf_symbol_base_length(symbol);
  for (size_t i = 0; symbol[base] && i < sizeof parts / sizeof *parts; i++) {
    const char *part = strstr(symbol + base, parts[i]), *behind = part ? part + strlen(parts[i]) : NULL;
    if (part && (*behind == '\0' || *behind == '.')) return true;
  }
  return false;
}
