/* See pattern_filter.h. */
#include "elf/pattern_filter.h"

#include <string.h>

#include "base/memory.h"

#define ANY_EXACT UINT32_MAX /* the id that the needles of all exact patterns share */

/* The needles that a pattern gives, of which a match holds one; 0: none. */
static size_t needles_of(const struct rf_one_pattern *pattern, bool mangled,
                         struct rf_needle needles[RF_REGEX_NEEDLES]) {
  mangled = mangled && !pattern->mangled;
  if (pattern->kind == RF_REGEX) return rf_needles_of_regex(pattern->plain, mangled, needles);
  if (pattern->kind == RF_EXACT)
    needles[0] = rf_needle_of_mangled_name(pattern->plain, pattern->length);
  else if (mangled)
    needles[0] = rf_needle_of_mangled_glob(pattern->plain, pattern->wild, pattern->length);
  else
    needles[0] = rf_needle_of_glob(pattern->plain, pattern->wild, pattern->length);
  return needles[0].length > 0 ? 1 : 0;
}

/* Without a needle, or where the automaton is full, a pattern is a candidate for every symbol. */
static void add(struct rf_pattern_filter *filter, const struct rf_one_pattern *pattern, uint32_t index,
                bool mangled) {
  struct rf_needle needles[RF_REGEX_NEEDLES];
  size_t count = needles_of(pattern, mangled, needles);
  bool filtered = count > 0;
  for (size_t i = 0; i < count && filtered; i++)
    filtered = rf_needles_add(filter->needles, &needles[i], pattern->kind == RF_EXACT ? ANY_EXACT : index);
  if (filtered) return;
  if (pattern->kind == RF_EXACT)
    filter->exact_always = true;
  else
    filter->always[filter->always_count++] = index;
}

bool rf_pattern_filter_build(struct rf_pattern_filter *filter, const struct rf_one_pattern *patterns,
                             size_t count, bool mangled) {
  rf_pattern_filter_release(filter);
  filter->always = rf_malloc(count * sizeof *filter->always);
  filter->needles = rf_needles_new();
  if (!filter->always || !filter->needles) return false;
  for (size_t i = 0; i < count; i++)
    if (mangled || patterns[i].kind != RF_EXACT) add(filter, &patterns[i], (uint32_t)i, mangled);
  return rf_needles_build(filter->needles);
}

void rf_pattern_filter_release(struct rf_pattern_filter *filter) {
  rf_needles_free(filter->needles);
  rf_free(filter->always);
  *filter = (struct rf_pattern_filter){0};
}

static void found(void *user, uint32_t id) {
  struct rf_candidates *candidates = user;
  if (id == ANY_EXACT) {
    candidates->exact = true;
  } else if (!candidates->taken[id]) {
    candidates->taken[id] = 1;
    candidates->index[candidates->count++] = id;
  }
}

void rf_pattern_filter_find(const struct rf_pattern_filter *filter, const char *symbol,
                            struct rf_candidates *candidates) {
  candidates->count = 0;
  candidates->exact = filter->exact_always;
  rf_needles_find(filter->needles, symbol, found, candidates);
  for (size_t i = 0; i < candidates->count; i++) candidates->taken[candidates->index[i]] = 0;
  if (filter->always_count == 0) return;
  memcpy(candidates->index + candidates->count, filter->always,
         filter->always_count * sizeof *filter->always);
  candidates->count += filter->always_count;
}
