/* Rendering a report in one of the formats, for report and run. */
#pragma once

#include "report/buffer.h"
#include "report/display.h"
#include "report/model.h"

enum rf_format {
  RF_FORMAT_TEXT,
  RF_FORMAT_JSON,
  RF_FORMAT_CSV,
  RF_FORMAT_OPENMETRICS,
  RF_FORMAT_FOLDED,
  RF_FORMAT_PPROF,
  RF_FORMATS,
  RF_FORMAT_UNKNOWN = -1
};

/* The format of that name; what is not one has been said, with what there is. */
enum rf_format rf_format_named(const char *name);

/* One or several reports (several: each process by itself) into out. rows: of the text's table, 0: all. */
void rf_render(struct rf_buffer *out, struct rf_report *const *reports, size_t count, enum rf_format format,
               const struct rf_style *style, size_t rows);

/* Delivers the report of a run as refunc.report asks: "stderr", "none", or a pattern ending in .txt or .json
 * (already expanded). false with errno when it could not be written. */
bool rf_deliver(struct rf_report *report, const char *target, int stderr_fd);

/* The style for a descriptor, by the environment and the locale; marked: lines will be prefixed where fd is
 * no terminal. */
struct rf_style rf_style_of(int fd, bool marked);

#define RF_ROWS 25 /* of the table of functions, unless asked for all */
