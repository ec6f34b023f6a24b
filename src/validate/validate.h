/*
 * Rules, spans and kept calls, as configured: what functions: and spans: of the configuration mean for each
 * function that is timed.
 *
 *   options ─▶ sets (one a pattern) ─▶ function matched ─▶ types (signature:, or DWARF by the tool)
 *                                        ─▶ compile.c ─▶ struct rf_checker
 *                                                          │ at each call: call.c
 *                                                          ▼
 *                                                        violations[], spans[], kept[] of the recording
 *
 * The rule language: language.h, docs/rules.md; validators: validators.h; spans: spans.h.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "trace/select.h"

struct rf_options;

struct rf_validate_plan {
  const struct rf_options *options;
  double cycles_per_second;
  /* Has the tool describe functions of a module, requests "OFFSET:SYMBOL", into text (rf_free). false: it
   * can't. NULL: nobody can. */
  bool (*describe)(const char *module, const char *const *requests, size_t count, char **text,
                   size_t *length);
  void (*end_process)(void); /* for on_violation: abort */
};

/* Reads the configuration; complains, through the log, about what is wrong with it. NULL: no function carries
 * rules, spans or keep. Before functions are selected; not signal-safe. */
const struct rf_select_rules *rf_validate_start(const struct rf_validate_plan *plan);
/* Measures the way to rules, so that their cost can be stated; plain: cycles of a timed call without any.
 * Where there are rules, at the time of rf_probe_measure(). */
void rf_validate_measure(uint32_t plain);
/* In a forked child with a new recording, after the functions. */
void rf_validate_record_again(void);
