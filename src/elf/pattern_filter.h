/* Which patterns of a set a symbol has to be compared with: those whose needle (needles.h) it has, and those
 * that have none. One filter for symbols as they are, one for mangled ones. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/needles.h"
#include "elf/one_pattern.h"

struct rf_pattern_filter {
  struct rf_needles *needles;
  uint32_t *always; /* patterns without a needle */
  size_t always_count;
  bool exact_always; /* an exact pattern among them */
};

struct rf_candidates {
  uint32_t *index; /* room for every pattern */
  size_t count;
  unsigned char *taken; /* by pattern; all zero between symbols */
  bool exact;           /* an exact pattern may match: all of them share one hash table */
};

/* Makes a filter of count patterns. mangled: for mangled symbols; without it exact patterns are left out,
 * since a look into the hash table costs less. False: no memory. Replaces what filter was. */
bool rf_pattern_filter_build(struct rf_pattern_filter *filter, const struct rf_one_pattern *patterns,
                             size_t count, bool mangled);
void rf_pattern_filter_release(struct rf_pattern_filter *filter);

/* Fills candidates for a symbol. Cost: 1.5 ns a byte. */
void rf_pattern_filter_find(const struct rf_pattern_filter *filter, const char *symbol,
                            struct rf_candidates *candidates);
