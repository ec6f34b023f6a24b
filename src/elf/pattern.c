/*
 * See pattern.h. Three kinds of patterns, each in the form in which it is compared:
 *
 *   exact   plain spelling (names.h) ──▶ hash table
 *   glob    plain spelling, wildcards classified
 *   regex   compiled
 *
 * A symbol comes in several spellings, made only when some pattern may need them:
 *
 *   raw, base ──▶ demangled ──▶ plain ──▶ name | (parameters) | const
 *                                         name without the last template arguments, without any
 */
#include "elf/pattern.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "elf/demangle.h"
#include "elf/expression.h"
#include "elf/glob.h"
#include "elf/names.h"

#define PATTERN_LIMIT 4096
#define NAME_ROOM 32768 /* longer demangled names are matched in their mangled form only */

enum kind { EXACT, GLOB, REGEX };

struct pattern {
  char *text;   /* as it was given */
  char *module; /* NULL: any */
  char *plain;  /* exact, glob: plain spelling; regex: source */
  size_t length;
  enum kind kind;
  bool with_parameters, without_parameters; /* which spellings of a C++ name it is compared with */
  bool mangled;                             /* compared with the mangled name as well: begins with _Z or _R */
  bool tags;                                /* names an [abi:...] tag */
  int same_text;                            /* next exact pattern with this text, or -1 */
  unsigned char *wild;
  struct rf_expression *expression;
};

struct rf_pattern_set {
  struct pattern *patterns;
  size_t count, capacity;
  int *table; /* exact patterns by hash: index + 1, 0 is free */
  size_t table_mask;
  size_t exact_with_parameters;
  size_t others;      /* globs and regexes */
  unsigned char *hit; /* by pattern: matched by the symbol in hand */
  char *rooms;        /* where spellings are made */
};

/* ---- Reading a pattern ---- */

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

static void choose_spellings(struct pattern *pattern) {
  bool parenthesis = strchr(pattern->plain, '(') != NULL;
  pattern->with_parameters = parenthesis;
  if (pattern->kind == REGEX)
    pattern->without_parameters = !regex_has_literal_parenthesis(pattern->plain) ||
                                  strstr(pattern->plain, "anonymous namespace") ||
                                  strstr(pattern->plain, "operator\\(\\)");
  else
    pattern->without_parameters = !rf_name_has_parameters(pattern->plain, pattern->length);
  const char *start = pattern->plain + (pattern->kind == REGEX && pattern->plain[0] == '^');
  pattern->mangled = start[0] == '_' && (start[1] == 'Z' || start[1] == 'R');
  pattern->tags = strstr(pattern->plain, "abi:") != NULL;
}

static bool read_regex(struct pattern *pattern, const char *text, char *error, size_t error_bytes) {
  size_t length = strlen(text);
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
  pattern->kind = REGEX;
  pattern->plain = rf_strndup(text + 1, length - 2);
  pattern->length = length - 2;
  pattern->expression = pattern->plain ? rf_expression_new(pattern->plain, problem, sizeof problem) : NULL;
  if (pattern->expression) return true;
  snprintf(error, error_bytes, "'%.200s' is no POSIX extended regular expression: %s", text,
           pattern->plain ? problem : "no memory");
  return false;
}

static bool read_name(struct pattern *pattern, const char *text, char *error, size_t error_bytes) {
  size_t length = strlen(text);
  pattern->kind = rf_is_glob(text, length) ? GLOB : EXACT;
  if (pattern->kind == EXACT && !balanced(text, length)) {
    snprintf(error, error_bytes, "'%.200s' has a parenthesis too many or too few", text);
    return false;
  }
  pattern->plain = rf_malloc(RF_NAME_PLAIN_ROOM(length));
  if (pattern->plain) {
    pattern->length = rf_name_plain(pattern->plain, text, length, strstr(text, "[abi:") != NULL);
    pattern->wild = rf_malloc(pattern->length + 1);
  }
  if (!pattern->wild) {
    snprintf(error, error_bytes, "'%.200s': no memory", text);
    return false;
  }
  rf_glob_classify(pattern->wild, pattern->plain, pattern->length);
  return true;
}

static bool read_module(struct pattern *pattern, size_t length, char *error, size_t error_bytes) {
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
static bool read_pattern(struct pattern *pattern, const char *text, char *error, size_t error_bytes) {
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

static void pattern_release(struct pattern *pattern) {
  rf_free(pattern->text);
  rf_free(pattern->module);
  rf_free(pattern->plain);
  rf_free(pattern->wild);
  rf_expression_free(pattern->expression);
}

/* ---- The set ---- */

static uint64_t hash_of(const char *text, size_t length) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3u;
  return hash ^ hash >> 29;
}

/* The place in the table where text is or would be. */
static int *table_place(const struct rf_pattern_set *set, const char *text, size_t length) {
  size_t at = hash_of(text, length) & set->table_mask;
  for (;; at = (at + 1) & set->table_mask) {
    int *place = &set->table[at];
    if (*place == 0) return place;
    const struct pattern *pattern = &set->patterns[*place - 1];
    if (pattern->length == length && memcmp(pattern->plain, text, length) == 0) return place;
  }
}

static void table_insert(struct rf_pattern_set *set, size_t index) {
  struct pattern *pattern = &set->patterns[index];
  int *place = table_place(set, pattern->plain, pattern->length);
  pattern->same_text = *place - 1;
  *place = (int)index + 1;
}

static bool grow(struct rf_pattern_set *set) {
  size_t capacity = set->capacity ? 2 * set->capacity : 16;
  struct pattern *patterns = rf_realloc(set->patterns, capacity * sizeof *patterns);
  if (patterns) set->patterns = patterns;
  unsigned char *hit = patterns ? rf_realloc(set->hit, capacity) : NULL;
  if (hit) set->hit = hit;
  int *table = hit ? rf_calloc(4 * capacity, sizeof *table) : NULL;
  if (!table) return false;
  memset(set->hit, 0, capacity);
  rf_free(set->table);
  set->table = table;
  set->table_mask = 4 * capacity - 1;
  set->capacity = capacity;
  for (size_t i = 0; i < set->count; i++)
    if (set->patterns[i].kind == EXACT) table_insert(set, i);
  return true;
}

struct rf_pattern_set *rf_pattern_set_new(void) {
  return rf_calloc(1, sizeof(struct rf_pattern_set));
}

int rf_pattern_add(struct rf_pattern_set *set, const char *text, char *error, size_t error_bytes) {
  struct pattern pattern = {.same_text = -1};
  if (!check_text(text, error, error_bytes)) return -1;
  if (set->count == set->capacity && !grow(set)) {
    snprintf(error, error_bytes, "no memory");
    return -1;
  }
  if (!read_pattern(&pattern, text, error, error_bytes)) {
    pattern_release(&pattern);
    return -1;
  }
  size_t index = set->count++;
  set->patterns[index] = pattern;
  if (pattern.kind == EXACT)
    table_insert(set, index);
  else
    set->others++;
  if (pattern.kind == EXACT && pattern.with_parameters) set->exact_with_parameters++;
  return (int)index;
}

/* Spellings: demangled, without tags, plain, without templates twice. */
enum {
  ROOM_DEMANGLED,
  ROOM_UNTAGGED,
  ROOM_NAME,
  ROOM_PLAIN,
  ROOM_LAST = ROOM_PLAIN + 2,
  ROOM_ALL = ROOM_LAST + 2,
  ROOM_KEY = ROOM_ALL + 2,
  ROOMS = ROOM_KEY + 3
};

void rf_pattern_set_free(struct rf_pattern_set *set) {
  if (!set) return;
  for (size_t i = 0; i < set->count; i++) pattern_release(&set->patterns[i]);
  rf_free(set->patterns);
  rf_free(set->table);
  rf_free(set->hit);
  if (set->rooms) rf_pages_free(set->rooms, ROOMS * (size_t)NAME_ROOM);
  rf_free(set);
}

size_t rf_pattern_count(const struct rf_pattern_set *set) { return set->count; }

const char *rf_pattern_text(const struct rf_pattern_set *set, size_t index) {
  return index < set->count ? set->patterns[index].text : NULL;
}

/* ---- Modules ---- */

/* libssl.so.3 stands for libssl.so.3.0.14 too: what ldd and the linker call a library is the start of its
 * file's name. */
static bool module_matches(const struct pattern *pattern, const char *module) {
  if (!pattern->module || rf_glob_matches_simple(pattern->module, module)) return true;
  size_t length = strlen(pattern->module);
  return strstr(pattern->module, ".so") && strncmp(pattern->module, module, length) == 0 &&
         module[length] == '.';
}

bool rf_pattern_wants_module(const struct rf_pattern_set *set, const char *module) {
  for (size_t i = 0; i < set->count; i++)
    if (module_matches(&set->patterns[i], module)) return true;
  return false;
}

/* ---- Matching ---- */

struct subject {
  struct rf_pattern_set *set;
  const char *module, *symbol;
  size_t hits;
  /* the spellings of a C++ name; NULL: not made, or the symbol has none */
  const char *demangled, *untagged, *name;
  const char *plain, *last, *all;
  struct rf_name_parts parts; /* of plain */
  size_t last_length, all_length;
};

static void hit(struct subject *subject, size_t index) {
  if (subject->set->hit[index]) return;
  subject->set->hit[index] = 1;
  subject->hits++;
}

static void look_up(struct subject *subject, const char *text, size_t length) {
  const struct rf_pattern_set *set = subject->set;
  for (int i = *table_place(set, text, length) - 1; i >= 0; i = set->patterns[i].same_text)
    if (module_matches(&set->patterns[i], subject->module)) hit(subject, (size_t)i);
}

static char *room(const struct subject *subject, size_t index) {
  return subject->set->rooms + index * NAME_ROOM;
}

/* What a mangled symbol means, in every spelling. False: it is not mangled, or too long. */
static bool spell(struct subject *subject, const char *base) {
  struct rf_pattern_set *set = subject->set;
  if (!set->rooms) set->rooms = rf_pages(ROOMS * (size_t)NAME_ROOM);
  if (!set->rooms) return false;
  size_t length = rf_demangle(base, room(subject, ROOM_DEMANGLED), NAME_ROOM);
  if (length == 0) return false;
  subject->demangled = room(subject, ROOM_DEMANGLED);
  length = rf_name_without_tags(room(subject, ROOM_UNTAGGED), subject->demangled, length);
  subject->untagged = room(subject, ROOM_UNTAGGED);
  size_t name = rf_name_split(subject->untagged, length).name;
  memcpy(room(subject, ROOM_NAME), subject->untagged, name);
  room(subject, ROOM_NAME)[name] = '\0';
  subject->name = room(subject, ROOM_NAME);
  size_t plain = rf_name_plain(room(subject, ROOM_PLAIN), subject->untagged, length, false);
  subject->plain = room(subject, ROOM_PLAIN);
  subject->parts = rf_name_split(subject->plain, plain);
  subject->last = room(subject, ROOM_LAST);
  subject->last_length =
      rf_name_without_templates(room(subject, ROOM_LAST), subject->plain, subject->parts.name, false);
  subject->all = room(subject, ROOM_ALL);
  subject->all_length =
      rf_name_without_templates(room(subject, ROOM_ALL), subject->plain, subject->parts.name, true);
  return true;
}

/* A name with its parameters behind it, with and without const. */
static void look_up_with_parameters(struct subject *subject, const char *name, size_t length) {
  const char *parameters = subject->plain + subject->parts.name;
  size_t whole = subject->parts.length - subject->parts.name;
  size_t bare = subject->parts.parameters - subject->parts.name;
  char *key = room(subject, ROOM_KEY);
  memcpy(key, name, length);
  memcpy(key + length, parameters, whole);
  look_up(subject, key, length + whole);
  if (bare != whole) look_up(subject, key, length + bare);
}

static void match_exact_cxx(struct subject *subject) {
  const struct {
    const char *name;
    size_t length;
  } names[] = {{subject->plain, subject->parts.name},
               {subject->last, subject->last_length},
               {subject->all, subject->all_length}};
  for (size_t i = 0; i < 3; i++) {
    if (i > 0 && names[i].length == names[i - 1].length) continue;
    look_up(subject, names[i].name, names[i].length);
    if (subject->set->exact_with_parameters > 0 && subject->parts.name < subject->parts.length)
      look_up_with_parameters(subject, names[i].name, names[i].length);
  }
}

static bool glob_matches_cxx(const struct pattern *pattern, const struct subject *subject) {
  struct rf_glob glob = {pattern->plain, pattern->wild, pattern->length};
  if (pattern->with_parameters) {
    if (rf_glob_matches(&glob, subject->plain, subject->parts.length)) return true;
    if (rf_glob_matches(&glob, subject->plain, subject->parts.parameters)) return true;
  }
  if (!pattern->without_parameters) return false;
  return rf_glob_matches(&glob, subject->plain, subject->parts.name) ||
         rf_glob_matches(&glob, subject->last, subject->last_length) ||
         rf_glob_matches(&glob, subject->all, subject->all_length);
}

static bool regex_matches_cxx(const struct pattern *pattern, const struct subject *subject) {
  if (pattern->with_parameters &&
      rf_expression_matches(pattern->expression, pattern->tags ? subject->demangled : subject->untagged))
    return true;
  return pattern->without_parameters && rf_expression_matches(pattern->expression, subject->name);
}

static bool matches_raw(const struct pattern *pattern, const char *text) {
  if (pattern->kind == REGEX) return rf_expression_matches(pattern->expression, text);
  struct rf_glob glob = {pattern->plain, pattern->wild, pattern->length};
  return rf_glob_matches(&glob, text, strlen(text));
}

static void match_others(struct subject *subject, const char *base, bool cxx) {
  const struct rf_pattern_set *set = subject->set;
  for (size_t i = 0; i < set->count; i++) {
    const struct pattern *pattern = &set->patterns[i];
    if (pattern->kind == EXACT || !module_matches(pattern, subject->module)) continue;
    bool matches = false;
    if (cxx)
      matches =
          pattern->kind == GLOB ? glob_matches_cxx(pattern, subject) : regex_matches_cxx(pattern, subject);
    if (!matches && (!cxx || pattern->mangled))
      matches =
          matches_raw(pattern, base) || (base != subject->symbol && matches_raw(pattern, subject->symbol));
    if (matches) hit(subject, i);
  }
}

static void match_spellings(struct subject *subject, const char *base) {
  const struct rf_pattern_set *set = subject->set;
  bool mangled = base[0] == '_' && (base[1] == 'Z' || base[1] == 'R');
  bool cxx = mangled && spell(subject, base);
  look_up(subject, base, strlen(base));
  if (base != subject->symbol) look_up(subject, subject->symbol, strlen(subject->symbol));
  if (cxx) match_exact_cxx(subject);
  if (set->others > 0) match_others(subject, base, cxx);
}

/* Marks in set->hit what the symbol matches; returns how many patterns that are. */
static size_t match(struct rf_pattern_set *set, const char *module, const char *symbol) {
  struct subject subject = {.set = set, .module = module, .symbol = symbol};
  if (set->count == 0) return 0;
  size_t base_length = rf_symbol_base_length(symbol);
  if (symbol[base_length] == '\0') {
    match_spellings(&subject, symbol);
    return subject.hits;
  }
  char *base = rf_strndup(symbol, base_length);
  if (!base) return 0;
  match_spellings(&subject, base);
  rf_free(base);
  return subject.hits;
}

/* Takes the marks away again, calling found for each; found returns false once it has seen enough. */
static void sweep(struct rf_pattern_set *set, size_t hits, void (*found)(void *user, size_t index),
                  void *user) {
  for (size_t i = 0; i < set->count && hits > 0; i++) {
    if (!set->hit[i]) continue;
    set->hit[i] = 0;
    hits--;
    found(user, i);
  }
}

static void keep_first(void *user, size_t index) {
  int *first = user;
  if (*first < 0) *first = (int)index;
}

int rf_pattern_match(const struct rf_pattern_set *set, const char *module, const char *symbol) {
  int first = -1;
  struct rf_pattern_set *scratch = (struct rf_pattern_set *)set;
  sweep(scratch, match(scratch, module, symbol), keep_first, &first);
  return first;
}

void rf_pattern_match_all(const struct rf_pattern_set *set, const char *module, const char *symbol,
                          void (*call)(void *user, size_t index), void *user) {
  struct rf_pattern_set *scratch = (struct rf_pattern_set *)set;
  sweep(scratch, match(scratch, module, symbol), call, user);
}
