/*
 * See pattern.h. How a symbol meets the patterns:
 *
 *   symbol ──▶ filter: a look at its bytes leaves the few patterns that could match ──▶ candidates
 *     │
 *     ├─▶ as it is, and without a clone's suffix ─▶ hash table of exact patterns
 *     │                                          ─▶ globs and expressions among the candidates
 *     └─▶ if it is mangled and some candidate needs it: spellings.h, each of them likewise
 */
#include "elf/pattern.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "elf/glob.h"
#include "elf/one_pattern.h"
#include "elf/pattern_filter.h"
#include "elf/spellings.h"

struct rf_pattern_set {
  struct rf_one_pattern *patterns;
  size_t count, capacity;
  int *table; /* exact patterns by hash: index + 1, 0 is free */
  size_t table_mask;
  uint64_t exact_lengths; /* of exact patterns, modulo 64: most names need not be hashed */
  uint64_t exact_ends[4]; /* their last bytes */
  bool exact_with_parameters, exact_with_tags, others_with_tags;

  bool prepared; /* the filters know all patterns */
  struct rf_pattern_filter plain, mangled;

  /* for the symbol in hand */
  struct rf_candidates candidates;
  struct rf_spellings spellings;
  unsigned char *hit; /* by pattern; all zero between symbols */
};

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
    const struct rf_one_pattern *pattern = &set->patterns[*place - 1];
    if (pattern->length == length && memcmp(pattern->plain, text, length) == 0) return place;
  }
}

static void table_insert(struct rf_pattern_set *set, size_t index) {
  struct rf_one_pattern *pattern = &set->patterns[index];
  int *place = table_place(set, pattern->plain, pattern->length);
  unsigned char end = pattern->length ? (unsigned char)pattern->plain[pattern->length - 1] : 0;
  pattern->same_text = *place - 1;
  *place = (int)index + 1;
  set->exact_lengths |= UINT64_C(1) << pattern->length % 64;
  set->exact_ends[end / 64] |= UINT64_C(1) << end % 64;
}

static bool may_be_exact(const struct rf_pattern_set *set, const char *text, size_t length) {
  unsigned char end = length ? (unsigned char)text[length - 1] : 0;
  return set->exact_lengths >> length % 64 & 1 && set->exact_ends[end / 64] >> end % 64 & 1;
}

/* Every array that has a place for each pattern grows together. */
static bool grow(struct rf_pattern_set *set) {
  size_t capacity = set->capacity ? 2 * set->capacity : 16;
  struct rf_one_pattern *patterns = rf_realloc(set->patterns, capacity * sizeof *patterns);
  if (patterns) set->patterns = patterns;
  int *table = rf_calloc(4 * capacity, sizeof *table);
  unsigned char *hit = rf_calloc(capacity, 1), *taken = rf_calloc(capacity, 1);
  uint32_t *candidates = rf_malloc(capacity * sizeof *candidates);
  bool possible = patterns && table && hit && taken && candidates;
  rf_free(possible ? set->table : table);
  rf_free(possible ? set->hit : hit);
  rf_free(possible ? set->candidates.taken : taken);
  rf_free(possible ? set->candidates.index : candidates);
  if (!possible) return false;
  set->table = table;
  set->table_mask = 4 * capacity - 1;
  set->hit = hit;
  set->candidates = (struct rf_candidates){.index = candidates, .taken = taken};
  set->capacity = capacity;
  for (size_t i = 0; i < set->count; i++)
    if (set->patterns[i].kind == RF_EXACT) table_insert(set, i);
  return true;
}

struct rf_pattern_set *rf_pattern_set_new(void) {
  return rf_calloc(1, sizeof(struct rf_pattern_set));
}

int rf_pattern_add(struct rf_pattern_set *set, const char *text, char *error, size_t error_bytes) {
  struct rf_one_pattern pattern;
  if (!rf_one_pattern_read(&pattern, text, error, error_bytes)) return -1;
  if (set->count == set->capacity && !grow(set)) {
    snprintf(error, error_bytes, "no memory");
    rf_one_pattern_release(&pattern);
    return -1;
  }
  bool exact = pattern.kind == RF_EXACT;
  set->patterns[set->count] = pattern;
  set->exact_with_parameters |= exact && pattern.with_parameters;
  set->exact_with_tags |= exact && pattern.tags;
  set->others_with_tags |= !exact && pattern.tags;
  set->prepared = false;
  if (exact) table_insert(set, set->count);
  return (int)set->count++;
}

void rf_pattern_set_free(struct rf_pattern_set *set) {
  if (!set) return;
  for (size_t i = 0; i < set->count; i++) rf_one_pattern_release(&set->patterns[i]);
  rf_pattern_filter_release(&set->plain);
  rf_pattern_filter_release(&set->mangled);
  rf_spellings_release(&set->spellings);
  rf_free(set->candidates.index);
  rf_free(set->candidates.taken);
  rf_free(set->patterns);
  rf_free(set->table);
  rf_free(set->hit);
  rf_free(set);
}

size_t rf_pattern_count(const struct rf_pattern_set *set) { return set->count; }

const char *rf_pattern_text(const struct rf_pattern_set *set, size_t index) {
  return index < set->count ? set->patterns[index].text : NULL;
}

bool rf_pattern_wants_module(const struct rf_pattern_set *set, const char *module) {
  for (size_t i = 0; i < set->count; i++)
    if (rf_one_pattern_in_module(&set->patterns[i], module)) return true;
  return false;
}

static bool prepare(struct rf_pattern_set *set) {
  if (!set->prepared)
    set->prepared = rf_pattern_filter_build(&set->plain, set->patterns, set->count, false) &&
                    rf_pattern_filter_build(&set->mangled, set->patterns, set->count, true);
  return set->prepared;
}

/* ---- Matching ---- */

struct subject {
  struct rf_pattern_set *set;
  const char *module, *symbol, *base; /* base: the symbol without a clone's suffix, or the symbol */
  size_t base_length, hits;
};

static void hit(struct subject *subject, size_t index) {
  if (subject->set->hit[index]) return;
  subject->set->hit[index] = 1;
  subject->hits++;
}

static void look_up(struct subject *subject, const char *text, size_t length) {
  const struct rf_pattern_set *set = subject->set;
  if (!may_be_exact(set, text, length)) return;
  for (int i = *table_place(set, text, length) - 1; i >= 0; i = set->patterns[i].same_text)
    if (rf_one_pattern_in_module(&set->patterns[i], subject->module)) hit(subject, (size_t)i);
}

static void look_up_spellings(struct subject *subject) {
  struct rf_spellings *spellings = &subject->set->spellings;
  for (size_t i = 0; i < spellings->name_count; i++) {
    const char *text;
    size_t bare, length;
    look_up(subject, spellings->names[i].text, spellings->names[i].length);
    if (!subject->set->exact_with_parameters) continue;
    if ((length = rf_spell_parameters(spellings, i, &text, &bare)) == 0) continue;
    look_up(subject, text, length);
    if (bare != length) look_up(subject, text, bare);
  }
}

static bool glob_matches_parts(const struct rf_one_pattern *pattern, const struct rf_glob *glob,
                               const char *text, const struct rf_name_parts *parts) {
  if (pattern->with_parameters &&
      (rf_glob_matches(glob, text, parts->length) || rf_glob_matches(glob, text, parts->parameters)))
    return true;
  return pattern->without_parameters && rf_glob_matches(glob, text, parts->name);
}

static bool glob_matches_spelling(const struct rf_one_pattern *pattern,
                                  const struct rf_spellings *spellings) {
  const struct rf_glob glob = {pattern->plain, pattern->wild, pattern->length};
  if (glob_matches_parts(pattern, &glob, spellings->plain, &spellings->parts)) return true;
  if (spellings->full && glob_matches_parts(pattern, &glob, spellings->full, &spellings->full_parts))
    return true;
  for (size_t i = 1; pattern->without_parameters && i < spellings->name_count; i++)
    if (rf_glob_matches(&glob, spellings->names[i].text, spellings->names[i].length)) return true;
  return false;
}

static bool matches_spelling(const struct rf_one_pattern *pattern, const struct rf_spellings *spellings) {
  if (pattern->kind == RF_GLOB) return glob_matches_spelling(pattern, spellings);
  return (pattern->with_parameters && rf_expression_matches(pattern->expression, spellings->text)) ||
         (pattern->without_parameters && rf_expression_matches(pattern->expression, spellings->name));
}

static bool matches_text(const struct rf_one_pattern *pattern, const char *text) {
  if (pattern->kind == RF_REGEX) return rf_expression_matches(pattern->expression, text);
  const struct rf_glob glob = {pattern->plain, pattern->wild, pattern->length};
  return rf_glob_matches(&glob, text, strlen(text));
}

static bool matches_symbol(const struct rf_one_pattern *pattern, const struct subject *subject) {
  return matches_text(pattern, subject->base) ||
         (subject->base != subject->symbol && matches_text(pattern, subject->symbol));
}

/* Keeps the candidates that a comparison has to decide. True: some of them need the demangled name. */
static bool thin_candidates(struct subject *subject) {
  struct rf_candidates *candidates = &subject->set->candidates;
  size_t kept = 0;
  bool demangle = false;
  for (size_t i = 0; i < candidates->count; i++) {
    uint32_t index = candidates->index[i];
    const struct rf_one_pattern *pattern = &subject->set->patterns[index];
    if (!rf_one_pattern_in_module(pattern, subject->module)) continue;
    if (pattern->everything) {
      hit(subject, index);
      continue;
    }
    candidates->index[kept++] = index;
    demangle |= !pattern->mangled;
  }
  candidates->count = kept;
  return demangle;
}

static void match_spellings(struct subject *subject, bool tags) {
  const struct rf_pattern_set *set = subject->set;
  if (!tags || set->exact_with_tags) look_up_spellings(subject);
  for (size_t i = 0; i < set->candidates.count; i++) {
    const struct rf_one_pattern *pattern = &set->patterns[set->candidates.index[i]];
    if (!pattern->mangled && (pattern->tags || !tags) && matches_spelling(pattern, &set->spellings))
      hit(subject, set->candidates.index[i]);
  }
}

/* False: the symbol turns out to be no mangled name. */
static bool match_demangled(struct subject *subject) {
  struct rf_pattern_set *set = subject->set;
  if (!rf_spell(&set->spellings, subject->base)) return false;
  match_spellings(subject, false);
  if (set->spellings.tagged && (set->exact_with_tags || set->others_with_tags)) {
    rf_spell_with_tags(&set->spellings);
    match_spellings(subject, true);
  }
  return true;
}

static void match_subject(struct subject *subject) {
  struct rf_pattern_set *set = subject->set;
  bool mangled = subject->base[0] == '_' && (subject->base[1] == 'Z' || subject->base[1] == 'R');
  rf_pattern_filter_find(mangled ? &set->mangled : &set->plain, subject->symbol, &set->candidates);
  bool demangle = thin_candidates(subject) || set->candidates.exact;
  look_up(subject, subject->base, subject->base_length);
  if (subject->base != subject->symbol) look_up(subject, subject->symbol, strlen(subject->symbol));
  bool demangled = mangled && demangle && match_demangled(subject);
  for (size_t i = 0; i < set->candidates.count; i++) {
    const struct rf_one_pattern *pattern = &set->patterns[set->candidates.index[i]];
    if ((pattern->mangled || !demangled) && matches_symbol(pattern, subject))
      hit(subject, set->candidates.index[i]);
  }
}

/* Marks in set->hit what the symbol matches; returns how many patterns that are. */
static size_t match(struct rf_pattern_set *set, const char *module, const char *symbol) {
  struct subject subject = {.set = set, .module = module, .symbol = symbol, .base = symbol};
  if (set->count == 0 || !prepare(set)) return 0;
  size_t base_length = rf_symbol_base_length(symbol);
  char *base = symbol[base_length] ? rf_strndup(symbol, base_length) : NULL;
  if (base) subject.base = base;
  subject.base_length = base || !symbol[base_length] ? base_length : strlen(symbol);
  match_subject(&subject);
  rf_free(base);
  return subject.hits;
}

/* Takes the marks away again and tells each. */
static void sweep(struct rf_pattern_set *set, size_t hits, void (*found)(void *user, size_t index),
                  void *user) {
  for (size_t i = 0; hits > 0; i++) {
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
