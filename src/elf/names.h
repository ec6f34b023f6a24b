/*
 * Spellings of C++ names. Demangled names and the patterns that people write differ in ways that mean
 * nothing:
 *
 *   std::vector<int, A<int> >::f      std::vector<int,A<int>>::f          spaces
 *   ns::f[abi:cxx11](), std::__cxx11::list                                ABI tags, inline ABI namespaces
 *   f(char const*), f()               f(const char *), f(void)
 *
 * Both are brought into one plain spelling, in which they are compared by bytes. All functions here: any
 * thread, no memory, a few ns a byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Bytes that the plain spelling of a name takes at most. */
#define RF_NAME_PLAIN_ROOM(length) ((length) + 1)

static inline bool rf_name_is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         (unsigned char)c >= 0x80;
}

static inline bool rf_name_is_mangled(const char *symbol) {
  return symbol[0] == '_' && (symbol[1] == 'Z' || symbol[1] == 'R');
}

/* The decimal number at *at, at most 999,999, and where it ends. (strtoul would touch errno.) */
static inline size_t rf_name_number(const char **at) {
  size_t number = 0;
  for (; **at >= '0' && **at <= '9'; ++*at)
    if (number < 100000) number = 10 * number + (size_t)(**at - '0');
  return number;
}

/* Writes the plain spelling of a name or pattern; returns its length (terminated). tags: keep [abi:...]. */
size_t rf_name_plain(char *out, const char *name, size_t length, bool tags);

/* Turns std::basic_string<char,...> of a plain name into std::string, likewise the streams; returns the new
 * length. */
size_t rf_name_shorten(char *plain, size_t length);

/* Copies a name without its [abi:...] tags, otherwise as it is; returns the length (terminated). */
size_t rf_name_without_tags(char *out, const char *name, size_t length);

/* Where the parts of a name end: ns::f<int> | (int) | const. Without parameters all three are its length. */
struct rf_name_parts {
  size_t name, parameters, length;
};
struct rf_name_parts rf_name_split(const char *name, size_t length);

/* Whether name has a '(' besides those of operator(), (anonymous namespace), {lambda(...)#1} and
 * f(int)::local. */
bool rf_name_has_parameters(const char *name, size_t length);

/* Copies a name (without parameters) without template arguments: those of its last component, or all of them.
 * Returns the length (terminated). */
size_t rf_name_without_templates(char *out, const char *name, size_t length, bool all);

/* Index behind the operator's token when "operator" ends at index at of a name: operator<<, operator(),
 * operator->*; at itself for operator new, operator int and for what is no operator. */
size_t rf_name_operator_end(const char *name, size_t length, size_t at);
/* Whether the word operator begins at index at. */
bool rf_name_is_operator(const char *name, size_t length, size_t at);
