/*
 * Which functions are timed: matches the patterns against the symbols of every loaded module, gives each matched function an
 * id, patches it, and records it, or why not.
 *
 *   modules ─▶ symbols ─▶ patterns ─▶ grouped by address ─▶ refused by name? ─▶ patcher ─▶ functions / skipped[]
 *                                                                               patterns without a hit ─▶ unmatched[]
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RF_MOST_FUNCTIONS (1u << 18)

struct rf_options;

struct rf_select_plan {
  const struct rf_options *options;
  bool dry; /* plan and record, but write no jump (refunc check) */
};

/* Reads the patterns. false: there are none, and nothing more is to be done. */
bool rf_select_start(const struct rf_select_plan *plan);
/* Looks at every module not seen yet, patches, records. Once at start and whenever libraries were opened. relocated: whether the new
 * modules' relocations are done, so that IFUNC resolvers may run. */
void rf_select_sweep(bool relocated);
/* The id of a named block of refunc.h, made when it is new: recorded among the functions, but without code. UINT32_MAX without room. Any
 * thread, signal-safe; waits while another thread patches a module. */
uint32_t rf_select_add_named(const char *name);
/* In a forked child with a new recording: records the functions again under the same ids. */
void rf_select_record_again(void);
/* How many functions are timed. */
uint32_t rf_select_count(void);
