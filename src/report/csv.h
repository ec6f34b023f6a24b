/* The functions as CSV (RFC 4180, a header line), for spreadsheets. */
#pragma once

#include "report/buffer.h"
#include "report/model.h"

/* header: whether the line with the columns' names comes first. Unknown values are empty. */
void rf_csv_report(struct rf_buffer *out, const struct rf_report *report, bool header);
