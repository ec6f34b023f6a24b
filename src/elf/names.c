/* See names.h. */
#include "elf/names.h"

#include <string.h>

static bool starts(const char *text, size_t length, size_t at, const char *word) {
  size_t bytes = strlen(word);
  return at <= length && bytes <= length - at && memcmp(text + at, word, bytes) == 0;
}

bool rf_name_is_operator(const char *name, size_t length, size_t at) {
  return starts(name, length, at, "operator") && (at == 0 || !rf_name_is_word(name[at - 1])) &&
         (at + 8 == length || !rf_name_is_word(name[at + 8]));
}

size_t rf_name_operator_end(const char *name, size_t length, size_t at) {
  static const char *const tokens[] = {
      "<=>", "<<=", ">>=", "->*", "()", "[]", "->", "<<", ">>", "<=", ">=", "==",   "!=", "&&",
      "||",  "++",  "--",  "+=",  "-=", "*=", "/=", "%=", "^=", "&=", "|=", "\"\"", "<",  ">",
      "+",   "-",   "*",   "/",   "%",  "^",  "&",  "|",  "~",  "!",  "=",  ","};
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
    if (starts(name, length, at, tokens[i])) return at + strlen(tokens[i]);
  return at;
}

/* Index behind the bracket that closes the one at index at; length when none does. Brackets of operators
 * don't count. */
static size_t skip_group(const char *name, size_t length, size_t at, char open, char close) {
  size_t depth = 0;
  while (at < length) {
    if (rf_name_is_operator(name, length, at)) {
      at = rf_name_operator_end(name, length, at + 8);
      continue;
    }
    char c = name[at++];
    if (c == open)
      depth++;
    else if (c == close && --depth == 0)
      return at;
    else if (c == '(')
      at = skip_group(name, length, at - 1, '(', ')');
  }
  return length;
}

/* ---- The plain spelling ---- */

/* Text that the plain spelling leaves out when it begins a component. */
static size_t silent_namespace(const char *name, size_t length, size_t at) {
  static const char *const silent[] = {"__cxx11::", "__1::"};
  if (at < 2 || name[at - 1] != ':') return 0;
  for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
    if (starts(name, length, at, silent[i])) return strlen(silent[i]);
  return 0;
}

static size_t tag_length(const char *name, size_t length, size_t at) {
  if (!starts(name, length, at, "[abi:")) return 0;
  const char *end = memchr(name + at, ']', length - at);
  return end ? (size_t)(end - (name + at)) + 1 : 0;
}

/* A space means something between two words, and before the arguments of operator<. */
static bool space_matters(const char *out, size_t written, const char *name, size_t length, size_t at) {
  while (at < length && name[at] == ' ') at++;
  if (written == 0 || at == length) return false;
  char before = out[written - 1], after = name[at];
  return (rf_name_is_word(before) && rf_name_is_word(after)) || (before == '<' && after == '<');
}

static size_t without_noise(char *out, const char *name, size_t length, bool tags) {
  size_t written = 0, skip;
  for (size_t at = 0; at < length;) {
    if ((!tags && (skip = tag_length(name, length, at)) > 0) ||
        (skip = silent_namespace(name, length, at)) > 0) {
      at += skip;
    } else if (name[at] == ' ') {
      if (space_matters(out, written, name, length, at)) out[written++] = ' ';
      while (at < length && name[at] == ' ') at++;
    } else {
      out[written++] = name[at++];
    }
  }
  return written;
}

/* Rewrites in place; a replacement is shorter than what it replaces, even with a space behind it. */
static size_t replace(char *text, size_t length, const char *old, const char *new) {
  size_t old_bytes = strlen(old), new_bytes = strlen(new), out = 0;
  for (size_t at = 0; at < length;) {
    if (starts(text, length, at, old)) {
      memmove(text + out, new, new_bytes);
      at += old_bytes;
      out += new_bytes;
      if (at < length && rf_name_is_word(text[at]) && rf_name_is_word(text[out - 1])) text[out++] = ' ';
    } else {
      text[out++] = text[at++];
    }
  }
  return out;
}

size_t rf_name_shorten(char *text, size_t length) {
  static const char *const pairs[][2] = {
      {"std::basic_string<char,std::char_traits<char>,std::allocator<char>>", "std::string"},
      {"std::basic_ostream<char,std::char_traits<char>>", "std::ostream"},
      {"std::basic_istream<char,std::char_traits<char>>", "std::istream"},
      {"std::basic_iostream<char,std::char_traits<char>>", "std::iostream"},
  };
  if (!strstr(text, "std::basic_")) return length;
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    length = replace(text, length, pairs[i][0], pairs[i][1]);
  text[length] = '\0';
  return length;
}

/* End of the type that a leading const stands before. */
static size_t type_end(const char *text, size_t length, size_t at) {
  while (at < length && !strchr("*&,()>", text[at]))
    at = text[at] == '<' ? skip_group(text, length, at, '<', '>') : at + 1;
  return at;
}

/* const char* becomes char const*, as demanglers write it. */
static void move_const(char *text, size_t length) {
  for (size_t at = 1; at + 6 < length; at++) {
    if (!strchr("(,<", text[at - 1]) || memcmp(text + at, "const ", 6) != 0) continue;
    size_t end = type_end(text, length, at + 6);
    memmove(text + at, text + at + 6, end - at - 6);
    memcpy(text + end - 6, " const", 6);
  }
}

size_t rf_name_plain(char *out, const char *name, size_t length, bool tags) {
  if (starts(name, length, 0, "::")) {
    name += 2;
    length -= 2;
  }
  size_t written = without_noise(out, name, length, tags);
  move_const(out, written);
  written = replace(out, written, "(void)", "()");
  out[written] = '\0';
  return written;
}

size_t rf_name_without_tags(char *out, const char *name, size_t length) {
  size_t written = 0;
  for (size_t at = 0; at < length;) {
    size_t tag = tag_length(name, length, at);
    if (tag == 0) out[written++] = name[at++];
    at += tag;
  }
  out[written] = '\0';
  return written;
}

/* ---- Parts ---- */

static bool ends(const char *text, size_t length, const char *word) {
  size_t bytes = strlen(word);
  return length >= bytes && memcmp(text + length - bytes, word, bytes) == 0;
}

static size_t without_qualifiers(const char *name, size_t length) {
  static const char *const qualifiers[] = {" ", "const", "volatile", "&", "noexcept", "restrict"};
  for (size_t i = 0; i < sizeof qualifiers / sizeof *qualifiers;)
    if (ends(name, length, qualifiers[i])) {
      length -= strlen(qualifiers[i]);
      i = 0;
    } else {
      i++;
    }
  return length;
}

struct rf_name_parts rf_name_split(const char *name, size_t length) {
  struct rf_name_parts whole = {length, length, length};
  size_t end = without_qualifiers(name, length), depth = 0, at = end;
  if (end == 0 || name[end - 1] != ')') return whole;
  while (at > 0) {
    at--;
    if (name[at] == ')') depth++;
    if (name[at] == '(' && --depth == 0) break;
  }
  if (depth != 0 || at == 0 || starts(name, length, at, "(anonymous namespace)")) return whole;
  if (at >= 8 && rf_name_is_operator(name, length, at - 8)) return whole; /* operator() without parameters */
  return (struct rf_name_parts){at, end, length};
}

bool rf_name_has_parameters(const char *name, size_t length) {
  struct rf_name_parts parts = rf_name_split(name, length);
  return parts.parameters != parts.name;
}

/* ---- Templates ---- */

size_t rf_name_without_templates(char *out, const char *name, size_t length, bool all) {
  size_t written = 0;
  for (size_t at = 0; at < length;) {
    size_t from = at;
    if (rf_name_is_operator(name, length, at))
      at = rf_name_operator_end(name, length, at + 8);
    else if (name[at] == '(')
      at = skip_group(name, length, at, '(', ')');
    else if (name[at] == '<')
      at = skip_group(name, length, at, '<', '>');
    else
      at++;
    if (name[from] == '<' && from > 0 && (all || at == length)) {
      if (written > 0 && out[written - 1] == ' ') written--;     /* operator< <int> */
      if (written > 1 && ends(out, written, "::")) written -= 2; /* Rust's f::<T> */
      continue;
    }
    memcpy(out + written, name + from, at - from);
    written += at - from;
  }
  out[written] = '\0';
  return written;
}
