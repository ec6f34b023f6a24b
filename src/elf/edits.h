/*
 * Edit distance from one short target to many texts, upper and lower case being the same: a column of the
 * table of distances lies in two words, a bit a letter of the target that says whether the distance grows or
 * shrinks there (Myers), so that each byte of a text takes a dozen instructions. Any thread, no memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_EDITS_TARGET 64 /* letters that a target has at most */

struct rf_edits {
  uint64_t has[256]; /* by byte: where in the target it stands */
  size_t length;
  bool open_start, open_end; /* text before and behind the target costs nothing */
};

/* target: in lower case, of 1 to RF_EDITS_TARGET bytes. */
void rf_edits_prepare(struct rf_edits *edits, const char *target, size_t length, bool open_start,
                      bool open_end);
/* Cost: about 3 ns a byte. */
int rf_edits_to(const struct rf_edits *edits, const char *text, size_t length);
