/*
 * What patterns ask of functions: which are timed, by what means, and under which rules. The patterns of the
 * options stay; those of commands, which come while the process runs, beat them, the last one that matches a
 * function first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/pattern.h"
#include "recording/format.h"
#include "trace/full.h"
#include "trace/select.h"

struct rf_traced;

/* What is asked of one function. */
struct rf_choice {
  bool hit; /* some pattern of the options names it */
  struct rf_full full;
  uint16_t sets[RF_SELECT_SETS], set_count; /* of rules */
};

/* A pattern that was added or removed while the process ran. */
struct rf_command {
  struct rf_pattern_set *set; /* of one */
  bool add;
  uint32_t hits;
  rf_ref unmatched; /* its entry in unmatched[], while it stands there */
};

/* Of the options and of rules and spans. False: there are none, or no memory. */
bool rf_wishes_read(const struct rf_select_plan *plan);
const struct rf_select_rules *rf_wishes_rules(void); /* NULL: none */
/* The highest budget of a single function, in 1/RF_PACE_ONE; 0: none has one. */
uint32_t rf_wishes_highest_share(void);

/* Whether any pattern is there; whether one wants something of this module. */
bool rf_wishes_any(void);
bool rf_wishes_want_module(const char *module);
/* Whether this function is to be timed, and what else. Counts the patterns' hits. */
bool rf_wishes_choose(const char *module, const char *name, struct rf_choice *choice);
/* Adds a set of rules that is not there yet; of more than RF_SELECT_SETS the rest is left out, and that is
 * said. */
void rf_wishes_add_set(uint16_t *sets, uint16_t *count, uint16_t set);

/* A command, in the place of an earlier one with the same pattern. NULL, with the error: the pattern is none.
 * Until the next command. */
struct rf_command *rf_wishes_command(bool add, const char *pattern, char *error, size_t error_bytes);
/* The names near a command's pattern that matches nothing, a line each; it is recorded as unmatched. */
void rf_wishes_tell_unmatched(struct rf_command *command, char *nearest, size_t bytes);
/* Whether a pattern matches any of a function's names. */
bool rf_wishes_name(struct rf_pattern_set *set, const struct rf_traced *traced);

/* Unmatched patterns stand in the recording from the start; one that a later library matches is taken out
 * again. */
void rf_wishes_update_unmatched(void);
