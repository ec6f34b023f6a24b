/* The parts of the document, an object or array of the schema each. Each opens and closes what it is named after. */
#pragma once

#include "report/json_writer.h"
#include "report/model.h"

/* For numbers that may be unknown: path.key then has a reason, the given one unless a better one was recorded. */
struct rf_json_scope {
  struct rf_json *json;
  struct rf_report *report;
  const char *path, *reason;
};
void rf_json_put(const struct rf_json_scope *scope, const char *key, double value);
void rf_json_put_null(const struct rf_json_scope *scope, const char *key);

/* json_process.c: environment; process and processes[]; options. */
void rf_json_environment(struct rf_json *json, struct rf_report *report);
void rf_json_processes(struct rf_json *json, struct rf_report *report);
void rf_json_options(struct rf_json *json, const struct rf_report *report);
/* json_functions.c: functions[], spans[], skipped[], unmatched[]. */
void rf_json_functions(struct rf_json *json, struct rf_report *report);
void rf_json_spans(struct rf_json *json, struct rf_report *report);
void rf_json_skipped(struct rf_json *json, const struct rf_report *report);
void rf_json_unmatched(struct rf_json *json, const struct rf_report *report);
/* json_heap.c: heap, with its sites and leaks. */
void rf_json_heap(struct rf_json *json, struct rf_report *report);
/* json_system.c: system, with GPUs and the timeline. */
void rf_json_system(struct rf_json *json, struct rf_report *report);
/* json_rules.c: violations[]; kept[] of a function; what a span has beyond a function's figures, into the
 * object that is open. */
void rf_json_violations(struct rf_json *json, const struct rf_report *report);
void rf_json_kept(struct rf_json *json, const struct rf_report *report, const struct rf_report_function *f);
void rf_json_span(struct rf_json *json, const struct rf_report_span *span);
