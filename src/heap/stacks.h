/*
 * Call stacks, each stored once, as a tree of return addresses in the recording (rf_stack_node). Finding the
 * node of a frame given that of the frame outside it is one look into a hash table that only grows:
 *
 *   level 0 │ bucket of 8 words, one cache line │ ...    4,096 words     bucket full? ──▶ level 1, eight
 * times as large, ... word    │ high half of the key's hash │ node's place in the recording │
 *
 * A key's place is the first free word along one fixed way through the levels, and words are never emptied:
 * two threads that bring the same key meet at the same word, and one compare-and-swap decides. 16 bytes a
 * node, 8 and a little a word; 19 million nodes at most. No locks; signal-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recording/format.h"

/* False without memory. Not signal-safe. */
bool rf_stacks_start(void);
/* The node of a frame: parent is that of the frame outside it, or RF_STACK_END or RF_STACK_CUT. 0: no room
 * (the recording is full). Cost: 3 to 10 ns for a node that exists. */
rf_ref rf_stacks_node(rf_ref parent, uintptr_t address);
