/*
 * Who branches into the first bytes of a function? The 5 bytes that a jump will replace must not be entered
 * in their middle, from the function itself or from another one (hand-written assembly, cold parts), and not
 * from the function itself at its start, which would look like another call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/module.h"

struct rf_extent {
  uintptr_t address, size;
};

struct rf_branch_query {
  uintptr_t text_start, text_end; /* a module's code, from the first segment to the last */
  const struct rf_segment *segments;
  size_t segment_count;
  const struct rf_extent *functions; /* all that are known, sorted by address */
  size_t function_count;
  const uintptr_t *starts; /* of those to be patched, sorted */
  size_t start_count;
};

/* Sets bit n of entered[i] where something branches to byte n of starts[i], or, for the byte at which its
 * jump would lie, where the function itself does. false without memory. The decoder must be open. Cost: about
 * 1 ns a byte of text. */
bool rf_branches_find(const struct rf_branch_query *query, uint16_t *entered);
