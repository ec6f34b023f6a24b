/* The parts of the JSON report that rules, spans and kept calls make. */
#pragma once

#include "report/json_writer.h"
#include "report/model.h"

/* "kept": of a function. */
void rf_json_kept(struct rf_json *json, const struct rf_report *report, const struct rf_report_function *f);
/* "violations": of the report. */
void rf_json_violations(struct rf_json *json, const struct rf_report *report);
/* What a span has beyond a function's figures, into the object that is open. */
void rf_json_span(struct rf_json *json, const struct rf_report_span *span);
