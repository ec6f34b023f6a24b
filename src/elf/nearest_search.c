/*
 * Near names of many patterns in one pass over a million symbols.
 *
 *   name ──▶ filter: which targets at all? ──▶ compared with each of those
 *   mangled ─▶ its components ─▶ known? ─▶ targets that they are near to ──▶ demangled once, compared with those
 *                                  └─ no ─▶ filter, compared, remembered
 *
 * The components of C++ names are few and come again and again. Once a target has three near names, only what
 * is nearer than the last of them gets through the filter.
 */
#include <string.h>

#include "base/memory.h"
#include "elf/names.h"
#include "elf/nearest_names.h"

#define KNOWN 2048 /* components that are remembered: a power of two */
#define KNOWN_BYTES 62

struct component {
  unsigned char length; /* 0: none */
  char text[KNOWN_BYTES];
};

struct rf_nearest_search {
  struct rf_nearest_names *const *names;
  size_t words;
  struct rf_nearest_filter *filter;
  struct component *known;
  uint64_t *known_near; /* by known component and word: the targets that it is near to */
  uint64_t *near;       /* of the symbol in hand */
  struct rf_spellings spellings;
};

struct rf_nearest_search *rf_nearest_search_new(struct rf_nearest_names *const *names, size_t count) {
  struct rf_nearest_search *search = rf_calloc(1, sizeof *search);
  if (!search) return NULL;
  search->names = names;
  search->words = (count + 63) / 64;
  search->filter = rf_nearest_filter_new(count, RF_NEAREST_NAME);
  search->known = rf_calloc(KNOWN, sizeof *search->known);
  search->known_near = rf_calloc(KNOWN * search->words, sizeof *search->known_near);
  search->near = rf_calloc(search->words, sizeof *search->near);
  if (!search->filter || !search->known || !search->known_near || !search->near) {
    rf_nearest_search_free(search);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    if (!names[i]) continue;
    struct rf_nearest_target target = rf_nearest_target_of(names[i]);
    rf_nearest_filter_add(search->filter, i, &target);
  }
  return search;
}

void rf_nearest_search_free(struct rf_nearest_search *search) {
  if (!search) return;
  rf_nearest_filter_free(search->filter);
  rf_spellings_release(&search->spellings);
  rf_free(search->known);
  rf_free(search->known_near);
  rf_free(search->near);
  rf_free(search);
}

/* ---- Components ---- */

static size_t place_of(const char *text, size_t length) {
  uint64_t hash = length;
  for (; length >= 8; text += 8, length -= 8) {
    uint64_t part;
    memcpy(&part, text, sizeof part);
    hash = (hash ^ part) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  for (; length > 0; text++, length--) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
  return (hash * 0x9e3779b97f4a7c15u) >> 32 & (KNOWN - 1);
}

static void compare_component(struct rf_nearest_search *search, const char *text, size_t length,
                              uint64_t *near) {
  const uint64_t *possible = rf_nearest_filter_component(search->filter, text, length);
  for (size_t w = 0; w < search->words; w++) {
    near[w] = 0;
    for (uint64_t bits = possible[w]; bits; bits &= bits - 1) {
      size_t bit = (size_t)__builtin_ctzll(bits);
      if (rf_nearest_component(search->names[64 * w + bit], text, length)) near[w] |= UINT64_C(1) << bit;
    }
  }
}

/* The set of targets that it is near to. */
static uint64_t *near_component(struct rf_nearest_search *search, const char *text, size_t length) {
  size_t place = place_of(text, length);
  struct component *known = &search->known[place];
  uint64_t *near = &search->known_near[place * search->words];
  bool fits = length > 0 && length <= KNOWN_BYTES;
  if (fits && known->length == length && memcmp(known->text, text, length) == 0) return near;
  known->length = fits ? (unsigned char)length : 0;
  memcpy(known->text, text, known->length);
  compare_component(search, text, length, near);
  return near;
}

static bool find_near(struct rf_nearest_search *search, const char *symbol, size_t symbol_length) {
  const char *at = symbol, *end = symbol + symbol_length, *text;
  size_t length;
  uint64_t any = 0;
  memset(search->near, 0, search->words * sizeof *search->near);
  while (rf_nearest_next_component(&at, end, &text, &length)) {
    const uint64_t *near = near_component(search, text, length);
    for (size_t w = 0; w < search->words; w++) any |= search->near[w] |= near[w];
  }
  return any != 0;
}

static bool spell(struct rf_nearest_search *search, const char *symbol, size_t length) {
  if (!symbol[length]) return rf_spell(&search->spellings, symbol);
  char *base = rf_strndup(symbol, length);
  bool spelled = base && rf_spell(&search->spellings, base);
  rf_free(base);
  return spelled;
}

/* ---- Symbols ---- */

static void feed_mangled(struct rf_nearest_search *search, const char *symbol, size_t length) {
  if (!find_near(search, symbol, length) || !spell(search, symbol, length)) return;
  for (size_t w = 0; w < search->words; w++)
    for (uint64_t bits = search->near[w]; bits; bits &= bits - 1)
      rf_nearest_take_spelled(search->names[64 * w + (size_t)__builtin_ctzll(bits)], &search->spellings);
}

static void feed_plain(struct rf_nearest_search *search, const char *symbol, size_t length) {
  const uint64_t *near = rf_nearest_filter_name(search->filter, symbol, length);
  for (size_t w = 0; w < search->words; w++)
    for (uint64_t bits = near[w]; bits; bits &= bits - 1) {
      size_t index = 64 * w + (size_t)__builtin_ctzll(bits);
      rf_nearest_take_plain(search->names[index], symbol, length);
      rf_nearest_filter_lower(search->filter, index, rf_nearest_limit_now(search->names[index]));
    }
}

void rf_nearest_search_feed(struct rf_nearest_search *search, const char *symbol) {
  size_t length = rf_symbol_base_length(symbol);
  if (symbol[length] && rf_symbol_is_cold(symbol)) return;
  if (rf_name_is_mangled(symbol))
    feed_mangled(search, symbol, length);
  else
    feed_plain(search, symbol, length);
}
