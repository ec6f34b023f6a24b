/* The report as OpenMetrics text (1.0), to be scraped or pushed. */
#pragma once

#include "report/buffer.h"
#include "report/model.h"

void rf_openmetrics_report(struct rf_buffer *out, struct rf_report *const *reports, size_t count);
