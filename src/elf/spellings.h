/*
 * Every spelling of a C++ or Rust function under which a pattern may know it:
 *
 *   symbol ──▶ text    std::map<int, X>::find<Y>(int) const      as demanglers write it, for regular expressions
 *              name    std::map<int, X>::find<Y>                 without parameters
 *              plain   std::map<int,X>::find<Y>(int)const        names.h; its name part in up to three forms:
 *              names   std::map<int,X>::find<Y>, std::map<int,X>::find, std::map::find
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "elf/names.h"

#define RF_SPELLING_ROOM 32768 /* longer demangled names are known by their symbol only */

struct rf_spellings {
  char *rooms; /* NULL: not taken yet */
  const char *text, *name, *plain;
  struct rf_name_parts parts; /* of plain */
  const char *full;           /* NULL: plain is not shortened */
  struct rf_name_parts full_parts;
  struct {
    const char *text;
    size_t length;
  } names[3];
  size_t name_count;
  bool tagged; /* the demangled name has [abi:...] tags, which the spellings leave out */
};

/* Fills spellings for a mangled symbol, in rooms that are taken once (256 KB of address space). False: it is
 * not mangled, or too long, or there is no memory. Cost: about 1.5 us. */
bool rf_spell(struct rf_spellings *spellings, const char *symbol);
/* The same spellings once more with ABI tags; only after rf_spell() with tagged set. */
void rf_spell_with_tags(struct rf_spellings *spellings);
/* Writes names[index] with parameters behind it into a room of its own; *bare receives its length without
 * const. Returns the length, 0: the function has no parameters. */
size_t rf_spell_parameters(struct rf_spellings *spellings, size_t index, const char **text, size_t *bare);
void rf_spellings_release(struct rf_spellings *spellings);
