/*
 * Which names of a program come nearest to a pattern that matched none of them. A pattern becomes a target:
 *
 *   ns::Pipeline::rum(int)   the whole name
 *   predct_*                 its longest piece; what the wildcards stand for costs nothing
 *
 * and every name gets a penalty: four for each edit, less for what people get wrong without mistyping (upper
 * and lower case, a missing namespace, parameters). Most names never come that far: too long, too short, or
 * without the letters, which nearest_filter.h tells for all targets at once. Once a target has three near
 * names, only what is nearer than the last of them passes.
 */
#include <stdint.h>
#include <string.h>

#include "base/memory.h"
#include "elf/edits.h"
#include "elf/names.h"
#include "elf/nearest_names.h"
#include "elf/one_pattern.h"
#include "elf/pattern.h"
#include "elf/spellings.h"

#define BEST 3
#define TARGET_LIMIT 200 /* longer targets are cut */
#define NAME_LIMIT RF_NEAREST_NAME

enum penalty { EDIT = 4, WRONG_CASE = 1, NAMESPACE = 2, PARAMETERS = 1, UNFINISHED = 6, NONE = 1000 };

struct rf_nearest_names {
  char target[TARGET_LIMIT + 1]; /* lower case */
  char exact[TARGET_LIMIT + 1];  /* as written */
  size_t length;
  size_t tail;               /* index of the last component */
  bool open_start, open_end; /* wildcards before and behind the target */
  bool parameters;           /* names are shown with theirs */
  int limit;                 /* edits that still count as near */
  uint64_t letters, tail_letters;
  struct rf_edits edits[2]; /* of the whole target and of its last component, where they are short enough */
  struct rf_spellings spellings;
  struct {
    char *name;
    int penalty;
  } best[BEST];
  size_t count;
  char *result;
};

/* ---- Comparing ---- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static size_t tail_of(const char *name, size_t length) {
  size_t tail = 0;
  for (size_t at = 0; at + 2 < length; at++)
    if (name[at] == ':' && name[at + 1] == ':') tail = at + 2;
  return tail;
}

/* Edits from a long target to text in lower case, at most limit + 1. Where a wildcard adjoins, the rest of
 * text is free. */
static int edits_of_long(const struct rf_nearest_names *nearest, const char *target, size_t target_length,
                         const char *text, size_t length) {
  uint16_t row[NAME_LIMIT + 1];
  for (size_t t = 0; t <= length; t++) row[t] = nearest->open_start ? 0 : (uint16_t)t;
  for (size_t i = 1; i <= target_length; i++) {
    uint16_t diagonal = row[0], least = row[0] = (uint16_t)i;
    for (size_t t = 1; t <= length; t++) {
      uint16_t above = row[t], value = (uint16_t)(diagonal + (target[i - 1] != lower(text[t - 1])));
      if (above + 1 < value) value = (uint16_t)(above + 1);
      if (row[t - 1] + 1 < value) value = (uint16_t)(row[t - 1] + 1);
      row[t] = value;
      diagonal = above;
      if (value < least) least = value;
    }
    if (least > nearest->limit) return nearest->limit + 1;
  }
  int best = row[length];
  for (size_t t = 0; nearest->open_end && t < length; t++)
    if (row[t] < best) best = row[t];
  return best;
}

/* From the target's index from, which is 0 or its last component's. */
static int edits(const struct rf_nearest_names *nearest, size_t from, const char *text, size_t length) {
  const struct rf_edits *prepared = &nearest->edits[from != 0];
  return prepared->length
             ? rf_edits_to(prepared, text, length)
             : edits_of_long(nearest, nearest->target + from, nearest->length - from, text, length);
}

/* More than so many bits. */
static bool more_bits(uint64_t bits, int count) {
  while (bits && count-- > 0) bits &= bits - 1;
  return bits != 0;
}

/* Whether so many letters of the target are missing, or lengths so far apart, that no comparison can succeed.
 */
static bool hopeless(const struct rf_nearest_names *nearest, uint64_t target_letters, size_t target_length,
                     const char *text, size_t length) {
  size_t limit = (size_t)nearest->limit;
  if (length > NAME_LIMIT || length + limit < target_length) return true;
  if (!nearest->open_start && !nearest->open_end && length > target_length + limit) return true;
  return more_bits(target_letters & ~rf_letters_of(text, length), nearest->limit);
}

static int compare(const struct rf_nearest_names *nearest, size_t from, const char *text, size_t length) {
  size_t target_length = nearest->length - from;
  uint64_t letters = from == 0 ? nearest->letters : nearest->tail_letters;
  if (hopeless(nearest, letters, target_length, text, length)) return NONE;
  int count = edits(nearest, from, text, length);
  if (count > nearest->limit) return NONE;
  if (count > 0) return EDIT * count;
  bool same = target_length == length && memcmp(nearest->exact + from, text, length) == 0;
  return same ? 0 : WRONG_CASE;
}

/* A name that merely goes on where the target ends. */
static int compare_unfinished(const struct rf_nearest_names *nearest, const char *text, size_t length) {
  bool begins =
      nearest->length >= 4 && length > nearest->length && memcmp(nearest->exact, text, nearest->length) == 0;
  return begins ? UNFINISHED : NONE;
}

static int least(int a, int b) { return a < b ? a : b; }

/* The penalty of a name without parameters. */
static int penalty_of(const struct rf_nearest_names *nearest, const char *name, size_t length) {
  int penalty = least(compare(nearest, 0, name, length), compare_unfinished(nearest, name, length));
  size_t tail = tail_of(name, length);
  if (tail == 0 && nearest->tail == 0) return penalty;
  int other = compare(nearest, nearest->tail, name + tail, length - tail);
  return other == NONE ? penalty : least(penalty, other + NAMESPACE);
}

/* ---- Keeping the best ---- */

static bool known(const struct rf_nearest_names *nearest, const char *name) {
  for (size_t i = 0; i < nearest->count; i++)
    if (strcmp(nearest->best[i].name, name) == 0) return true;
  return false;
}

static void keep(struct rf_nearest_names *nearest, const char *name, size_t length, int penalty) {
  size_t at = nearest->count;
  if (penalty >= NONE || (at == BEST && penalty >= nearest->best[BEST - 1].penalty)) return;
  char *copy = rf_strndup(name, length);
  if (!copy || known(nearest, copy)) {
    rf_free(copy);
    return;
  }
  if (at == BEST) rf_free(nearest->best[--at].name);
  for (; at > 0 && nearest->best[at - 1].penalty > penalty; at--) nearest->best[at] = nearest->best[at - 1];
  nearest->best[at].name = copy;
  nearest->best[at].penalty = penalty;
  if (nearest->count < BEST) nearest->count++;
}

/* ---- The target ---- */

static void prepare_edits(struct rf_nearest_names *nearest, size_t from) {
  size_t length = nearest->length - from;
  if (length > 0 && length <= RF_EDITS_TARGET)
    rf_edits_prepare(&nearest->edits[from != 0], nearest->target + from, length, nearest->open_start,
                     nearest->open_end);
}

static void set_target(struct rf_nearest_names *nearest, const char *text, size_t length) {
  nearest->length = length < TARGET_LIMIT ? length : TARGET_LIMIT;
  memcpy(nearest->exact, text, nearest->length);
  for (size_t i = 0; i < nearest->length; i++) nearest->target[i] = lower(text[i]);
  nearest->tail = tail_of(nearest->exact, nearest->length);
  nearest->letters = rf_letters_of(nearest->exact, nearest->length);
  nearest->tail_letters = rf_letters_of(nearest->exact + nearest->tail, nearest->length - nearest->tail);
  prepare_edits(nearest, 0);
  prepare_edits(nearest, nearest->tail);
  int limit = (int)(nearest->length - nearest->tail) / (nearest->open_start || nearest->open_end ? 4 : 3);
  nearest->limit = limit < 1 ? 1 : limit > RF_NEAREST_LIMIT ? RF_NEAREST_LIMIT : limit;
}

/* The longest stretch of a glob without wildcards. */
static void target_of_glob(struct rf_nearest_names *nearest, const struct rf_one_pattern *pattern) {
  size_t best = 0, best_length = 0;
  for (size_t at = 0; at < pattern->length; at++) {
    size_t from = at;
    while (at < pattern->length && !pattern->wild[at]) at++;
    if (at - from <= best_length) continue;
    best = from;
    best_length = at - from;
  }
  nearest->open_start = best > 0;
  nearest->open_end = best + best_length < pattern->length;
  set_target(nearest, pattern->plain + best, best_length);
}

/* The longest stretch of an expression that stands for itself. */
static void target_of_regex(struct rf_nearest_names *nearest, const struct rf_one_pattern *pattern) {
  const char *best = "", *at = pattern->plain;
  size_t best_length = 0;
  while (*at) {
    size_t length = 0;
    while (rf_name_is_word(at[length]) || (at[length] == ':' && at[length + 1] == ':') ||
           (length > 0 && at[length] == ':' && at[length - 1] == ':'))
      length++;
    if (length > best_length) {
      best = at;
      best_length = length;
    }
    at += length > 0 ? length : 1;
  }
  nearest->open_start = nearest->open_end = true;
  set_target(nearest, best, best_length);
}

struct rf_nearest_names *rf_nearest_names_new(const char *text) {
  struct rf_one_pattern pattern;
  char error[256];
  struct rf_nearest_names *nearest = rf_calloc(1, sizeof *nearest);
  if (!nearest) return NULL;
  if (!rf_one_pattern_read(&pattern, text, error, sizeof error)) return nearest; /* nothing is near it */
  if (pattern.kind == RF_GLOB) {
    target_of_glob(nearest, &pattern);
  } else if (pattern.kind == RF_REGEX) {
    target_of_regex(nearest, &pattern);
  } else {
    nearest->parameters = !pattern.without_parameters;
    set_target(nearest, pattern.plain, rf_name_split(pattern.plain, pattern.length).name);
  }
  rf_one_pattern_release(&pattern);
  return nearest;
}

/* ---- Names ---- */

bool rf_nearest_component(const struct rf_nearest_names *nearest, const char *name, size_t length) {
  size_t target_length = nearest->length - nearest->tail;
  if (!hopeless(nearest, nearest->tail_letters, target_length, name, length) &&
      edits(nearest, nearest->tail, name, length) <= nearest->limit)
    return true;
  return length > target_length && target_length >= 4 &&
         memcmp(nearest->exact + nearest->tail, name, target_length) == 0;
}

bool rf_nearest_next_component(const char **at, const char *end, const char **name, size_t *length) {
  for (; *at < end; ++*at) {
    if (**at < '1' || **at > '9') continue;
    *name = *at;
    *length = rf_name_number(name);
    if (*length > RF_NEAREST_NAME || *name > end || *length > (size_t)(end - *name)) continue;
    *at = *name;
    return true;
  }
  return false;
}

/* Only then it is worth demangling. */
static bool mangled_may_be_near(const struct rf_nearest_names *nearest, const char *symbol) {
  const char *at = symbol, *end = symbol + strlen(symbol), *name;
  size_t length;
  while (rf_nearest_next_component(&at, end, &name, &length))
    if (rf_nearest_component(nearest, name, length)) return true;
  return false;
}

void rf_nearest_take_spelled(struct rf_nearest_names *nearest, const struct rf_spellings *spellings) {
  int penalty = NONE;
  for (size_t i = 0; i < spellings->name_count; i++)
    penalty = least(penalty, penalty_of(nearest, spellings->names[i].text, spellings->names[i].length));
  const char *shown = nearest->parameters ? spellings->text : spellings->name;
  keep(nearest, shown, strlen(shown), penalty + (nearest->parameters ? PARAMETERS : 0));
}

void rf_nearest_take_plain(struct rf_nearest_names *nearest, const char *symbol, size_t length) {
  keep(nearest, symbol, length, penalty_of(nearest, symbol, length));
}

static void feed_mangled(struct rf_nearest_names *nearest, const char *symbol) {
  if (mangled_may_be_near(nearest, symbol) && rf_spell(&nearest->spellings, symbol))
    rf_nearest_take_spelled(nearest, &nearest->spellings);
}

void rf_nearest_names_feed(struct rf_nearest_names *nearest, const char *symbol) {
  size_t length = rf_symbol_base_length(symbol);
  if (!nearest || nearest->length == 0 || rf_symbol_is_cold(symbol)) return;
  if (!rf_name_is_mangled(symbol)) {
    rf_nearest_take_plain(nearest, symbol, length);
    return;
  }
  char *base = rf_strndup(symbol, length);
  if (base) feed_mangled(nearest, base);
  rf_free(base);
}

struct rf_nearest_target rf_nearest_target_of(const struct rf_nearest_names *nearest) {
  return (struct rf_nearest_target){nearest->exact + nearest->tail, nearest->length - nearest->tail,
                                    nearest->open_start || nearest->open_end, nearest->limit};
}

/* What takes so many edits has at least their penalty, and a full list's last one must be beaten. */
int rf_nearest_limit_now(const struct rf_nearest_names *nearest) {
  int beaten = nearest->count == BEST ? (nearest->best[BEST - 1].penalty - 1) / EDIT : nearest->limit;
  return beaten < nearest->limit ? beaten : nearest->limit;
}

const char *rf_nearest_names_result(struct rf_nearest_names *nearest) {
  if (!nearest || nearest->count == 0) return "";
  rf_free(nearest->result);
  const char *names[BEST] = {"", "", ""};
  for (size_t i = 0; i < nearest->count; i++) names[i] = nearest->best[i].name;
  nearest->result = rf_asprintf("%s%s%s%s%s", names[0], nearest->count > 1 ? "\n" : "", names[1],
                                nearest->count > 2 ? "\n" : "", names[2]);
  return nearest->result ? nearest->result : "";
}

void rf_nearest_names_free(struct rf_nearest_names *nearest) {
  if (!nearest) return;
  for (size_t i = 0; i < nearest->count; i++) rf_free(nearest->best[i].name);
  rf_spellings_release(&nearest->spellings);
  rf_free(nearest->result);
  rf_free(nearest);
}
