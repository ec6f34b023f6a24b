/*
 * Addresses of instructions that are known to somebody: by them, and not by branches, threaded code, jump
 * tables and `push label; ret` enter the middle of a function.
 *
 *   pointers in data                    a table of labels, a restartable sequence's place
 *   tables of distances from themselves compilers' switch in position-independent code
 *   addresses taken by instructions     labels as values; with an indirect jump in that function the base of
 * a table of differences, so that any place may be meant
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/branches.h"

struct rf_instruction;

/* A module's labels, as offsets in its text. */
struct rf_labels {
  struct rf_label {
    uint32_t from,
        to; /* from: the instruction that takes the address of its table, RF_LABEL_DATA: a mere pointer */
  } * label;
  size_t count, capacity;
  bool incomplete; /* for want of memory */
};
#define RF_LABEL_DATA UINT32_MAX

/* All of them, to be freed. A mere pointer may be one to a function's beginning. The decoder must be open. Cost: about
 * 0.5 ns a byte of text, 1 ns a relocation. */
void rf_labels_find(const struct rf_branch_query *query, struct rf_labels *labels);
void rf_labels_free(struct rf_labels *labels);
/* Calls visit for those whose bit is set in targets (one bit a byte of the query's text); from 0: a mere pointer. */
void rf_labels_visit(const struct rf_branch_query *query, const struct rf_labels *labels,
                     const uint64_t *targets, void (*visit)(void *user, uintptr_t from, uintptr_t to),
                     void *user);

/* Whether the instruction at an address names a place inside the function: a label, or data. */
bool rf_names_inside(const struct rf_extent *function, uintptr_t at,
                     const struct rf_instruction *instruction);
