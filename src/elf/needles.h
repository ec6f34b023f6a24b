/*
 * A quick look that tells for all patterns at once which of them a symbol can match at all: each pattern
 * gives a needle, a piece of text that every symbol it matches has to contain, and one pass of an
 * Aho-Corasick automaton finds all needles in a symbol. Cost: about 1.5 ns a byte of the symbol, whatever the
 * number of patterns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_NEEDLE_BYTES 10 /* of longer needles only the first bytes are looked for */

struct rf_needle {
  char text[RF_NEEDLE_BYTES];
  size_t length; /* 0: none is known */
};

/* The longest piece of a glob (or of an exact name: wild is all zero) that a symbol table's plain name
 * contains. */
struct rf_needle rf_needle_of_glob(const char *text, const unsigned char *wild, size_t length);

/* The same for what the mangled form of a matching C++ or Rust name contains. Words that mangling abbreviates
 * (std, int, operator, ...) are no needles. A whole component is looked for with its length in front, as
 * mangling writes it. */
struct rf_needle rf_needle_of_mangled_glob(const char *text, const unsigned char *wild, size_t length);
struct rf_needle rf_needle_of_mangled_name(const char *text, size_t length);

/* Needles of an extended regular expression: whatever it matches holds one of them. 0: none are known.
 * mangled as above. */
#define RF_REGEX_NEEDLES 16
size_t rf_needles_of_regex(const char *source, bool mangled, struct rf_needle needles[RF_REGEX_NEEDLES]);

struct rf_needles; /* opaque */
struct rf_needles *rf_needles_new(void);
void rf_needles_free(struct rf_needles *needles);
/* Adds a needle that stands for id. False: no memory, or too many. */
bool rf_needles_add(struct rf_needles *needles, const struct rf_needle *needle, uint32_t id);
/* After the last one was added. */
bool rf_needles_build(struct rf_needles *needles);
/* Calls found for every needle in text, some of them more than once. */
void rf_needles_find(const struct rf_needles *needles, const char *text,
                     void (*found)(void *user, uint32_t id), void *user);
