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
#include "patch/extents.h"

/* A branch or call with its target in the instruction itself. */
struct rf_branch {
  uintptr_t from, to;
  uint8_t length, operand, operand_bytes; /* of the instruction; where in it the distance lies, of 1 or 4 */
  uint8_t
      flow; /* enum rf_flow; RF_FLOW_OTHER: it lies in a stub, somewhere at from, or is none: see labels.h */
};

struct rf_branch_list {
  struct rf_branch *branches; /* sorted by where they go to */
  size_t count, capacity;
};

struct rf_labels;

struct rf_branch_query {
  const struct rf_module *module;
  const struct rf_labels *labels; /* the module's (labels.h); NULL: they don't matter */
  uintptr_t text_start, text_end; /* a module's code, from the first segment to the last */
  const struct rf_segment *segments;
  size_t segment_count;
  const struct rf_extent *functions; /* all that are known, sorted by address */
  size_t function_count;
  const uintptr_t *starts; /* of those to be patched, sorted */
  size_t start_count;
};

#define RF_ENTERED_ELSEWHERE (1u << 15) /* ... and not only by branches of its own */

/* Sets bit n of entered[i] where something branches to byte n of starts[i] or knows it by a label, or, for
 * the byte at which its jump would lie, where the function itself does. false without memory. The decoder
 * must be open. Cost: about 1 ns a byte of text. */
bool rf_branches_find(const struct rf_branch_query *query, uint16_t *entered);

/* Every branch and call that goes into one of the areas, and every label in them; to the beginning of a
 * function only those from itself. false without memory. Cost: as above. */
bool rf_branches_list(const struct rf_branch_query *query, const struct rf_extent *areas, size_t area_count,
                      struct rf_branch_list *list);
void rf_branch_list_free(struct rf_branch_list *list);
/* The index of the first one that goes to address or behind it. */
size_t rf_branch_list_at(const struct rf_branch_list *list, uintptr_t address);
/* The function that holds an address, or NULL. */
const struct rf_extent *rf_branch_function(const struct rf_branch_query *query, uintptr_t address);
/* How far a function has been decoded: where what is asked comes in order, no instruction is decoded twice. Zeroed at
 * first. */
struct rf_branch_cursor {
  uintptr_t start, at;
};
/* Whether the 4 bytes at an address are part of an instruction, and no distance. */
bool rf_branch_holds_word(const struct rf_branch_query *query, struct rf_branch_cursor *cursor,
                          uintptr_t address);
