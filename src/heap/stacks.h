/*
 * Call stacks, each stored once, as a tree of return addresses in the recording (rf_stack_node). Finding the
 * node of a frame given that of the frame outside it is one look into a hash table that only grows:
 *
 *   level 0 │ bucket of 8 words, one cache line │ ...    4,096 words     bucket full? ──▶ level 1, eight times as large
 *   word    │ high half of the key's hash │ node's place in the recording │
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
/* A frame's key: outside is that of the frame outside it, or RF_STACK_END or RF_STACK_CUT. It follows from
 * the addresses alone, so that one need not wait for the nodes of a stack one after the other. */
static inline uint64_t rf_stacks_key(uint64_t outside, uintptr_t address) {
  uint64_t key = (outside ^ address) * 0x9e3779b97f4a7c15u;
  return (key ^ key >> 32) * 0xd6e8feb86659fd93u;
}
/* Where there are many nodes: fetches what will be looked at for this key. */
void rf_stacks_fetch(uint64_t key);
/* The node of a frame with this key: parent is that of the frame outside it, or RF_STACK_END or RF_STACK_CUT.
 * 0: no room (the recording is full). Cost: 3 to 10 ns for a node that exists, 200 ns for one of a million.
 */
rf_ref rf_stacks_node(rf_ref parent, uint64_t key, uintptr_t address);
