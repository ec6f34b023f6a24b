/*
 * A quick look that tells for many targets at once which of them a name could come near to: a target that
 * lacks more of its letters in the name than edits are allowed is out, and so is one of another length. 64
 * targets lie in a word: letters that the name lacks are added up in counters of three bits each, one bit of
 * all 64 in a word.
 *
 *   missing letter ──▶ word: targets that have it ──▶ + counters ──▶ counter > allowed? ──▶ out
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_NEAREST_LIMIT 5 /* edits that are allowed at most */

struct rf_nearest_filter; /* opaque */

/* The last component of what is looked for. */
struct rf_nearest_target {
  const char *text; /* as written */
  size_t length;    /* 0: nothing comes near to it */
  bool open;        /* names may be longer at either side */
  int limit;        /* edits that are allowed */
};

/* NULL: no memory. Longer parts of names than most are not near to anything. */
struct rf_nearest_filter *rf_nearest_filter_new(size_t targets, size_t most);
void rf_nearest_filter_free(struct rf_nearest_filter *filter);
void rf_nearest_filter_add(struct rf_nearest_filter *filter, size_t index,
                           const struct rf_nearest_target *target);
/* From now on so many edits are allowed where names are not mangled. */
void rf_nearest_filter_lower(struct rf_nearest_filter *filter, size_t index, int limit);

/*
 * The targets that a name, or one component of a mangled name (of at most so many bytes as the filter was
 * made for), could come near to: a word for 64 targets, until the next question. Cost: 1 ns a byte, and 40 ns
 * a word.
 */
const uint64_t *rf_nearest_filter_name(struct rf_nearest_filter *filter, const char *name, size_t length);
const uint64_t *rf_nearest_filter_component(struct rf_nearest_filter *filter, const char *name,
                                            size_t length);

/* A set of the bytes in text; upper and lower case are one, and so are some signs. */
uint64_t rf_letters_of(const char *text, size_t length);
