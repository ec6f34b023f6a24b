/* See one_pattern.h. A pattern is [module!]name, [module!]glob or [module!]/regex/. */
#include "elf/one_pattern.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "elf/glob.h"
#include "elf/names.h"

#define PATTERN_LIMIT 4096

/* Length of the module part, 0: none. operator! and operator!= are no modules. */
static size_t module_length(const char *pattern) {
  if (pattern[0] == '/') return 0;
  const char *mark = strchr(pattern, '!');
  if (!mark) return 0;
  size_t length = (size_t)(mark - pattern);
  if (length >= 8 && rf_name_is_operator(pattern, strlen(pattern), length - 8)) return 0;
  return length;
}

static bool balanced(const char *text, size_t length) {
  long depth = 0;
  for (size_t at = 0; at < length; at++) {
    if (text[at] == '(') depth++;
    if (text[at] == ')' && --depth < 0) return false;
  }
  return depth == 0;
}

/* A '(' of a regex that stands for itself. */
static bool regex_has_literal_parenthesis(const char *source) {
  bool bracket = false;
  for (; *source; source++) {
    if (*source == '\\' && source[1]) {
      if (*++source == '(') return true;
    } else if (*source == '[') {
      bracket = true;
    } else if (*source == ']') {
      bracket = false;
    } else if (*source == '(' && bracket) {
      return true;
    }
  }
  return false;
}

static void choose_spellings(struct rf_one_pattern *pattern) {
  bool parenthesis = strchr(pattern->plain, '(') != NULL;
  pattern->with_parameters = parenthesis;
  if (pattern->kind == RF_REGEX)
    pattern->without_parameters = !regex_has_literal_parenthesis(pattern->plain) ||
                                  strstr(pattern->plain, "anonymous namespace") ||
                                  strstr(pattern->plain, "operator\\(\\)");
  else
    pattern->without_parameters = !rf_name_has_parameters(pattern->plain, pattern->length);
  const char *start = pattern->plain + (pattern->kind == RF_REGEX && pattern->plain[0] == '^');
  pattern->mangled = start[0] == '_' && (start[1] == 'Z' || start[1] == 'R');
  pattern->tags = strstr(pattern->plain, "abi:") != NULL;
  pattern->everything = pattern->kind == RF_GLOB && pattern->plain[strspn(pattern->plain, "*")] == '\0';
}

static bool read_regex(struct rf_one_pattern *pattern, const char *text, char *error, size_t error_bytes) {
  size_t length = strlen(text);
  if (text[length - 1] != '/' && strchr(text, '!') && strrchr(text, '/') < strchr(text, '!')) {
    snprintf(error, error_bytes, "'%.200s': a module is given by its base name: '%.200s'", text,
             strrchr(text, '/') + 1);
    return false;
  }
  if (length < 2 || text[length - 1] != '/') {
    snprintf(error, error_bytes, "'%.200s' lacks its closing '/': a regular expression is written /.../",
             text);
    return false;
  }
  if (length == 2) {
    snprintf(error, error_bytes, "'//' is an empty regular expression; /./ matches every function");
    return false;
  }
  char problem[160];
  pattern->kind = RF_REGEX;
  pattern->plain = rf_strndup(text + 1, length - 2);
  pattern->length = length - 2;
  pattern->expression = pattern->plain ? rf_expression_new(pattern->plain, problem, sizeof problem) : NULL;
  if (pattern->expression) return true;
  snprintf(error, error_bytes, "'%.200s' is no POSIX extended regular expression: %s", text,
           pattern->plain ? problem : "no memory");
  return false;
}

static bool read_name(struct rf_one_pattern *pattern, const char *text, char *error, size_t error_bytes) {
  size_t length = strlen(text);
  pattern->kind = rf_is_glob(text, length) ? RF_GLOB : RF_EXACT;
  if (pattern->kind == RF_EXACT && !balanced(text, length)) {
    snprintf(error, error_bytes, "'%.200s' has a parenthesis too many or too few", text);
    return false;
  }
  pattern->plain = rf_malloc(RF_NAME_PLAIN_ROOM(length));
  if (pattern->plain) {
    pattern->length = rf_name_plain(pattern->plain, text, length, strstr(text, "[abi:") != NULL);
    if (pattern->kind == RF_EXACT) pattern->length = rf_name_shorten(pattern->plain, pattern->length);
    pattern->wild = rf_malloc(pattern->length + 1);
  }
  if (!pattern->wild) {
    snprintf(error, error_bytes, "'%.200s': no memory", text);
    return false;
  }
  rf_glob_classify(pattern->wild, pattern->plain, pattern->length);
  return true;
}

static bool read_module(struct rf_one_pattern *pattern, size_t length, char *error, size_t error_bytes) {
  if (memchr(pattern->text, '/', length)) {
    snprintf(error, error_bytes, "'%.200s': a module is given by its base name, as in libssl.so*!SSL_read",
             pattern->text);
    return false;
  }
  pattern->module = rf_strndup(pattern->text, length);
  if (!pattern->module) snprintf(error, error_bytes, "'%.200s': no memory", pattern->text);
  return pattern->module != NULL;
}

static bool check_text(const char *text, char *error, size_t error_bytes) {
  if (strnlen(text, PATTERN_LIMIT + 1) > PATTERN_LIMIT) {
    snprintf(error, error_bytes, "a pattern of more than %d bytes", PATTERN_LIMIT);
    return false;
  }
  for (const char *at = text; *at; at++)
    if ((unsigned char)*at < ' ' || *at == 0x7f) {
      snprintf(error, error_bytes, "a pattern with a control character (code %d)", *at);
      return false;
    }
  if (text[strspn(text, " ")] != '\0') return true;
  snprintf(error, error_bytes, "an empty pattern; * stands for every function");
  return false;
}

/* Copies text without spaces around it and reads it. */
static bool read_pattern(struct rf_one_pattern *pattern, const char *text, char *error, size_t error_bytes) {
  text += strspn(text, " ");
  size_t length = strlen(text);
  while (length > 0 && text[length - 1] == ' ') length--;
  pattern->text = rf_strndup(text, length);
  if (!pattern->text) {
    snprintf(error, error_bytes, "no memory");
    return false;
  }
  size_t module = module_length(pattern->text);
  if (module > 0 && !read_module(pattern, module, error, error_bytes)) return false;
  const char *function = pattern->text + (module > 0 ? module + 1 : 0);
  if (*function == '\0' || *function == '!') {
    snprintf(error, error_bytes, "'%.200s' names no function; '%.*s!*' stands for all of the module's",
             pattern->text, (int)(module < 200 ? module : 200), *function ? "module" : pattern->text);
    return false;
  }
  bool read = *function == '/' ? read_regex(pattern, function, error, error_bytes)
                               : read_name(pattern, function, error, error_bytes);
  if (read) choose_spellings(pattern);
  return read;
}

bool rf_one_pattern_read(struct rf_one_pattern *pattern, const char *text, char *error, size_t error_bytes) {
  *pattern = (struct rf_one_pattern){.same_text = -1};
  if (check_text(text, error, error_bytes) && read_pattern(pattern, text, error, error_bytes)) return true;
  rf_one_pattern_release(pattern);
  return false;
}

void rf_one_pattern_release(struct rf_one_pattern *pattern) {
  rf_free(pattern->text);
  rf_free(pattern->module);
  rf_free(pattern->plain);
  rf_free(pattern->wild);
  rf_expression_free(pattern->expression);
}

/* libssl.so.3 stands for libssl.so.3.0.14 too: what ldd and the linker call a library is the start of its
 * file's name. */
bool rf_one_pattern_in_module(const struct rf_one_pattern *pattern, const char *module) {
  if (!pattern->module || rf_glob_matches_simple(pattern->module, module)) return true;
  size_t length = strlen(pattern->module);
  return strstr(pattern->module, ".so") && strncmp(pattern->module, module, length) == 0 &&
         module[length] == '.';
}
