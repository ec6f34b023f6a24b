/* The report as JSON, schema "refunc-report/1". */
#pragma once

#include "report/buffer.h"
#include "report/model.h"

/* Adds the document. Every key is there; what could not be measured is null and has its reason under
 * "unavailable" (reasons that nobody recorded are added to the report on the way). */
void rf_json_report(struct rf_buffer *out, struct rf_report *report);
