/*
 * See needles.h.
 *
 *   which piece    longest run of word characters between the wildcards
 *   which words    not those that a demangler writes of its own accord, or as a part of them
 *   automaton      trie of the needles; failure links folded into its transitions, so that each byte is one step
 */
#include "elf/needles.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "elf/names.h"

/* ---- Pieces ---- */

/* Words that stand in demangled names though no part of the mangled ones spells them. */
static const char *const own_words[] = {
    "std",
    "allocator",
    "basic_string",
    "string",
    "char_traits",
    "basic_istream",
    "basic_ostream",
    "istream",
    "ostream",
    "basic_iostream",
    "iostream",
    "signed",
    "unsigned",
    "char",
    "short",
    "int",
    "long",
    "bool",
    "float",
    "double",
    "void",
    "wchar_t",
    "char8_t",
    "char16_t",
    "char32_t",
    "__int128",
    "__float128",
    "_Float16",
    "_Float32",
    "_Float64",
    "_Float128",
    "bfloat16_t",
    "half",
    "decimal32",
    "decimal64",
    "decimal128",
    "nullptr",
    "nullptr_t",
    "decltype",
    "auto",
    "boolean",
    "byte",
    "const",
    "volatile",
    "restrict",
    "noexcept",
    "throw",
    "transaction_safe",
    "operator",
    "new",
    "delete",
    "co_await",
    "sizeof",
    "alignof",
    "typeid",
    "static_cast",
    "dynamic_cast",
    "const_cast",
    "reinterpret_cast",
    "this",
    "true",
    "false",
    "anonymous",
    "namespace",
    "lambda",
    "unnamed",
    "type",
    "parm",
    "default",
    "arg",
    "vtable",
    "VTT",
    "for",
    "construction",
    "typeinfo",
    "name",
    "fn",
    "non",
    "virtual",
    "thunk",
    "to",
    "covariant",
    "return",
    "guard",
    "variable",
    "reference",
    "temporary",
    "hidden",
    "alias",
    "transaction",
    "clone",
    "safe",
    "TLS",
    "init",
    "function",
    "wrapper",
    "initializer",
    "module",
    "java",
    "resource",
    "pack",
    "expansion",
    "global",
    "constructors",
    "destructors",
    "keyed",
    "complex",
    "imaginary",
    "_Complex",
    "_Imaginary",
    "__vector",
    "__alignof__",
    "template",
    "parameter",
    "object",
    "literal",
    "requires",
    "typename",
    "as",
    "dyn",
    "mut",
    "unsafe",
    "extern",
    "impl",
    "closure",
    "shim",
    "str",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "C",
    "u",
    "l",
    "ul",
    "ll",
    "ull",
    "crate",
    "enable_if",
    "abi",
    "_BitInt",
    "mutable",
};
#define OWN_WORDS (sizeof own_words / sizeof *own_words)

/* A run of word characters and what is known of its surroundings: whether a word begins and ends with it. */
struct run {
  const char *text;
  size_t length;
  bool begins, ends;
};

static bool needle_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Whether run may be (a part of) one of the demangler's own words. */
static bool is_own_word(const struct run *run) {
  for (size_t i = 0; i < OWN_WORDS; i++) {
    const char *word = own_words[i];
    size_t length = strlen(word);
    if (length < run->length) continue;
    for (size_t at = 0; at + run->length <= length; at++) {
      if (memcmp(word + at, run->text, run->length) != 0) continue;
      if ((!run->begins || at == 0) && (!run->ends || at + run->length == length)) return true;
    }
  }
  return false;
}

/* Digits may be a number that mangling writes otherwise; so may what could follow digits. */
static bool survives_mangling(const struct run *run) {
  if (run->text[0] >= '0' && run->text[0] <= '9') return false;
  return !is_own_word(run);
}

static struct rf_needle needle_of(const struct run *run) {
  struct rf_needle needle = {.length = run->length < RF_NEEDLE_BYTES ? run->length : RF_NEEDLE_BYTES};
  memcpy(needle.text, run->text, needle.length);
  return needle;
}

/* As mangling writes a component: 3run. Rust puts a '_' between where the name begins with one. */
static struct rf_needle needle_with_length(const struct run *run) {
  char text[32];
  if (run->text[0] == '_') return needle_of(run);
  int length = snprintf(text, sizeof text, "%zu%.*s", run->length, (int)(run->length < 20 ? run->length : 20),
                        run->text);
  struct run written = {.text = text, .length = (size_t)length};
  return needle_of(&written);
}

/* The run that begins at or behind *at, in text with wildcards (wild may be NULL); false: there is none. */
static bool next_run(const char *text, const unsigned char *wild, size_t length, size_t *at,
                     struct run *run) {
  while (*at < length && ((wild && wild[*at]) || !needle_byte(text[*at]))) ++*at;
  if (*at == length) return false;
  size_t from = *at;
  while (*at < length && !(wild && wild[*at]) && needle_byte(text[*at])) ++*at;
  *run = (struct run){.text = text + from, .length = *at - from};
  run->begins = from == 0 || !((wild && wild[from - 1]) || rf_name_is_word(text[from - 1]));
  run->ends = *at == length || !((wild && wild[*at]) || rf_name_is_word(text[*at]));
  return true;
}

struct rf_needle rf_needle_of_glob(const char *text, const unsigned char *wild, size_t length) {
  struct run run, best = {.text = ""};
  for (size_t at = 0; next_run(text, wild, length, &at, &run);)
    if (run.length > best.length) best = run;
  return needle_of(&best);
}

/* Whether run is a whole component at either end of a pattern: mangling writes those by themselves. */
static bool is_outer_component(const struct run *run, const char *text, size_t length) {
  const char *end = run->text + run->length;
  bool first = run->text == text && (end == text + length || *end == ':');
  bool last = end == text + length && run->text > text && run->text[-1] == ':';
  return run->begins && run->ends && (first || last);
}

struct rf_needle rf_needle_of_mangled_glob(const char *text, const unsigned char *wild, size_t length) {
  struct run run, best = {.text = ""};
  for (size_t at = 0; next_run(text, wild, length, &at, &run);)
    if (run.length > best.length && survives_mangling(&run)) best = run;
  if (best.length > 0 && is_outer_component(&best, text, length)) return needle_with_length(&best);
  return needle_of(&best);
}

/* The last component outside of brackets that is a name of its own: mangling always spells a function's own
 * name, and a class's where constructors and destructors have none. */
struct rf_needle rf_needle_of_mangled_name(const char *text, size_t length) {
  struct run run, best = {.text = ""};
  long depth = 0;
  size_t seen = 0;
  for (size_t at = 0; next_run(text, NULL, length, &at, &run);) {
    for (; text + seen < run.text; seen++)
      depth += strchr("(<{[", text[seen]) ? 1 : strchr(")>}]", text[seen]) ? -1 : 0;
    seen = at;
    if (run.length == 8 && memcmp(run.text, "operator", 8) == 0) break;
    bool outside = depth == 0 && run.begins && run.ends && (run.text == text || strchr(":~>", run.text[-1]));
    if (outside && survives_mangling(&run)) best = run;
  }
  return best.length > 0 ? needle_with_length(&best) : (struct rf_needle){0};
}

/* ---- Pieces of regular expressions ---- */

/* The index behind a bracket expression or group that begins at index at. */
static size_t skip_regex_part(const char *source, size_t length, size_t at) {
  size_t depth = 0;
  while (at < length) {
    char c = source[at++];
    if (c == '\\')
      at++;
    else if (c == '(')
      depth++;
    else if (c == ')' && depth > 0)
      depth--;
    else if (c == '[') {
      if (at < length && source[at] == '^') at++;
      if (at < length && source[at] == ']') at++;
      while (at < length && source[at] != ']') {
        bool class = source[at] == '[' && at + 1 < length && strchr(":.=", source[at + 1]);
        const char *end = class ? memchr(source + at + 2, ']', length - at - 2) : NULL;
        at = end ? (size_t)(end - source) + 1 : at + 1;
      }
      at++;
    }
    if (depth == 0) break;
  }
  return at < length ? at : length;
}

static bool is_quantifier(const char *source, size_t length, size_t at) {
  return at < length && strchr("*?{", source[at]); /* + leaves one */
}

/* Needles of which each match holds one. */
struct choice {
  struct rf_needle *needles;
  size_t count, room, shortest;
};

static bool add_choice(struct choice *choice, const struct rf_needle *needle) {
  if (needle->length == 0 || choice->count == choice->room) return false;
  if (choice->count == 0 || needle->length < choice->shortest) choice->shortest = needle->length;
  choice->needles[choice->count++] = *needle;
  return true;
}

static bool needles_of_alternatives(const char *source, size_t length, bool mangled, struct choice *choice);

/* A group that can't be left out says as much as its weakest alternative. */
static void try_group(const char *source, size_t length, bool mangled, struct choice *best) {
  struct rf_needle needles[RF_REGEX_NEEDLES];
  struct choice choice = {.needles = needles, .room = RF_REGEX_NEEDLES};
  if (!needles_of_alternatives(source, length, mangled, &choice) || choice.shortest <= best->shortest) return;
  memcpy(best->needles, needles, choice.count * sizeof *needles);
  best->count = choice.count;
  best->shortest = choice.shortest;
}

static void try_run(const struct run *run, bool mangled, struct choice *best) {
  if (run->length <= best->shortest || (mangled && (run->length < 3 || !survives_mangling(run)))) return;
  best->needles[0] = needle_of(run);
  best->count = 1;
  best->shortest = best->needles[0].length;
}

/* The longest run of one alternative, or a group of longer ones. Everything but plain word characters ends a
 * run; what surrounds it is unknown. */
static void needles_of_sequence(const char *source, size_t length, bool mangled, struct choice *best) {
  for (size_t at = 0; at < length;) {
    size_t from = at;
    while (at < length && needle_byte(source[at]) && !is_quantifier(source, length, at + 1)) at++;
    struct run run = {.text = source + from, .length = at - from};
    try_run(&run, mangled, best);
    from = at;
    if (at < length && needle_byte(source[at]))
      at++; /* the quantified one */
    else if (at < length)
      at = source[at] == '{' ? at + 1 + strcspn(source + at + 1, "}") : skip_regex_part(source, length, at);
    if (source[from] == '(' && at > from + 1 && source[at - 1] == ')' && !is_quantifier(source, length, at))
      try_group(source + from + 1, at - from - 2, mangled, best);
  }
}

static bool needles_of_alternatives(const char *source, size_t length, bool mangled, struct choice *choice) {
  for (size_t at = 0, from = 0; at <= length;) {
    if (at < length && source[at] != '|') {
      at = skip_regex_part(source, length, at);
      continue;
    }
    struct rf_needle needles[RF_REGEX_NEEDLES];
    struct choice one = {.needles = needles, .room = RF_REGEX_NEEDLES};
    needles_of_sequence(source + from, at - from, mangled, &one);
    if (one.count == 0) return false;
    for (size_t i = 0; i < one.count; i++)
      if (!add_choice(choice, &needles[i])) return false;
    from = ++at;
  }
  return true;
}

size_t rf_needles_of_regex(const char *source, bool mangled, struct rf_needle needles[RF_REGEX_NEEDLES]) {
  struct choice choice = {.needles = needles, .room = RF_REGEX_NEEDLES};
  return needles_of_alternatives(source, strlen(source), mangled, &choice) ? choice.count : 0;
}

/* ---- The automaton ---- */

#define CLASSES 64 /* the word characters, and one class for all others */
#define OTHER 63
#define STATE_LIMIT 65535

struct output {
  uint32_t id;
  uint32_t next; /* index + 1 */
};

struct rf_needles {
  uint16_t (*next)[CLASSES];
  uint32_t *outputs; /* by state: first output, index + 1 */
  uint16_t *failure; /* by state */
  uint16_t
      *reporting; /* by state: the nearest state along failures, itself included, that has outputs; 0: none */
  size_t states, state_capacity;
  struct output *list;
  size_t count, capacity;
  unsigned char class[256];
  bool idle[256]; /* no needle begins with it, and it ends no text */
};

static void set_classes(unsigned char class[256]) {
  unsigned char next = 0;
  memset(class, OTHER, 256);
  for (int c = 0; c < 128; c++)
    if (needle_byte((char)c)) class[c] = next++;
}

static bool more_states(struct rf_needles *needles) {
  size_t capacity = needles->state_capacity ? 2 * needles->state_capacity : 64;
  void *next = rf_realloc(needles->next, capacity * sizeof *needles->next);
  if (next) needles->next = next;
  void *outputs = rf_realloc(needles->outputs, capacity * sizeof *needles->outputs);
  if (outputs) needles->outputs = outputs;
  if (!next || !outputs) return false;
  needles->state_capacity = capacity;
  return true;
}

/* A fresh state; 0 where there is none to be had. */
static uint16_t new_state(struct rf_needles *needles) {
  if (needles->states == STATE_LIMIT || (needles->states == needles->state_capacity && !more_states(needles)))
    return 0;
  memset(needles->next[needles->states], 0, sizeof *needles->next);
  needles->outputs[needles->states] = 0;
  return (uint16_t)needles->states++;
}

struct rf_needles *rf_needles_new(void) {
  struct rf_needles *needles = rf_calloc(1, sizeof *needles);
  if (!needles) return NULL;
  set_classes(needles->class);
  new_state(needles);
  if (needles->states == 1) return needles;
  rf_needles_free(needles);
  return NULL;
}

void rf_needles_free(struct rf_needles *needles) {
  if (!needles) return;
  rf_free(needles->next);
  rf_free(needles->outputs);
  rf_free(needles->failure);
  rf_free(needles->reporting);
  rf_free(needles->list);
  rf_free(needles);
}

static bool add_output(struct rf_needles *needles, uint16_t state, uint32_t id) {
  if (needles->count == needles->capacity) {
    size_t capacity = needles->capacity ? 2 * needles->capacity : 32;
    struct output *list = rf_realloc(needles->list, capacity * sizeof *list);
    if (!list) return false;
    needles->list = list;
    needles->capacity = capacity;
  }
  needles->list[needles->count] = (struct output){.id = id, .next = needles->outputs[state]};
  needles->outputs[state] = (uint32_t)++needles->count;
  return true;
}

bool rf_needles_add(struct rf_needles *needles, const struct rf_needle *needle, uint32_t id) {
  uint16_t state = 0;
  for (size_t i = 0; i < needle->length; i++) {
    unsigned class = needles->class[(unsigned char)needle->text[i]];
    if (needles->next[state][class] == 0) {
      uint16_t fresh = new_state(needles);
      if (fresh == 0) return false;
      needles->next[state][class] = fresh;
    }
    state = needles->next[state][class];
  }
  return needle->length > 0 && add_output(needles, state, id);
}

/* One state of the breadth-first walk: its children get their failure links, its missing transitions the
 * failure's. */
static void link_state(struct rf_needles *needles, uint16_t state, uint16_t *queue, size_t *queued) {
  uint16_t fallback = needles->failure[state];
  needles->reporting[state] = needles->outputs[state] ? state : needles->reporting[fallback];
  for (size_t c = 0; c < CLASSES; c++) {
    uint16_t child = needles->next[state][c];
    uint16_t instead = state == 0 ? 0 : needles->next[fallback][c];
    if (child == 0) {
      needles->next[state][c] = instead;
    } else {
      needles->failure[child] = instead;
      queue[(*queued)++] = child;
    }
  }
}

bool rf_needles_build(struct rf_needles *needles) {
  uint16_t *queue = rf_malloc(needles->states * sizeof *queue);
  needles->failure = rf_calloc(needles->states, sizeof *needles->failure);
  needles->reporting = rf_calloc(needles->states, sizeof *needles->reporting);
  bool possible = queue && needles->failure && needles->reporting;
  if (possible) {
    size_t queued = 0;
    link_state(needles, 0, queue, &queued);
    for (size_t i = 0; i < queued; i++) link_state(needles, queue[i], queue, &queued);
  }
  for (int c = 1; c < 256; c++) needles->idle[c] = needles->next[0][needles->class[c]] == 0;
  rf_free(queue);
  return possible;
}

static void report(const struct rf_needles *needles, uint16_t state, void (*found)(void *user, uint32_t id),
                   void *user) {
  while (state != 0) {
    for (uint32_t i = needles->outputs[state]; i != 0; i = needles->list[i - 1].next)
      found(user, needles->list[i - 1].id);
    state = needles->reporting[needles->failure[state]];
  }
}

void rf_needles_find(const struct rf_needles *needles, const char *text,
                     void (*found)(void *user, uint32_t id), void *user) {
  for (uint16_t state = 0;; text++) {
    while (state == 0 && needles->idle[(unsigned char)*text]) text++;
    if (!*text) return;
    state = needles->next[state][needles->class[(unsigned char)*text]];
    if (needles->reporting[state] != 0) report(needles, needles->reporting[state], found, user);
  }
}
