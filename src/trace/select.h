/*
 * Which functions are timed: matches the patterns against the symbols of every loaded module, gives each
 * matched function an id, patches it, and records it, or why not.
 *
 *   modules ─▶ symbols ─▶ patterns ─▶ grouped by address ─▶ refused by name? ─▶ patcher ─▶ functions, skipped[]
 *                            └─ without a hit ─▶ unmatched[]
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_options;

/* A matched function that carries rules: by the sets that its patterns stand for. */
#define RF_SELECT_SETS 6
struct rf_select_function {
  const char *name; /* symbol */
  uint64_t offset;  /* from the module's load address */
  const uint16_t *sets;
  size_t set_count;
};

/* What src/validate has to say of functions; see validate/validate.h. */
struct rf_module;
struct rf_select_rules {
  const char *const *patterns; /* by set; each is traced */
  const char *const *origins;
  size_t count;
  /* All functions of a module that carry rules, before they are made. */
  void (*prepare)(const struct rf_module *module, const struct rf_select_function *functions, size_t count);
  /* What src/arch's checked entry is to do at the calls of function id; NULL: nothing. */
  const void *(*make)(uint32_t id, const struct rf_module *module, const struct rf_select_function *function);
};

struct rf_select_plan {
  const struct rf_options *options;
  const struct rf_select_rules *rules; /* NULL: none */
  bool dry;                            /* plan and record, but write no jump (refunc check) */
};

/* Reads the patterns. false: there are none, and nothing more is to be done. */
bool rf_select_start(const struct rf_select_plan *plan);
/* Looks at every module not seen yet, patches, records. Once at start and whenever libraries were opened.
 * relocated: whether the new modules' relocations are done, so that IFUNC resolvers may run. */
void rf_select_sweep(bool relocated);
/* What a change came to. */
struct rf_change_edit;
struct rf_select_change {
  uint32_t changed, unchanged, skipped; /* functions */
  const char *reason;                   /* of the last skipped one */
  const struct rf_change_edit
      *edits; /* to be written while all threads stand still; valid until the next change */
  size_t edit_count;
  char nearest[512]; /* names near a pattern that matches nothing, a line each */
};
/* Adds functions to those that are timed, or removes them, also of libraries opened later; a later change
 * beats an earlier one. They keep their ids and figures when they come back. NULL, or why nothing was done
 * (valid until the next change). No jump is written. */
const char *rf_select_change(bool add, const char *pattern, struct rf_select_change *change);
