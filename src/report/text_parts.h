/* What the text report's parts share: lines that flow, and the sections. */
#pragma once

#include "report/text.h"

/*
 * A line made of items that are joined by a separator and wrapped at the width:
 *
 *   label  ▁▂▃▅▇  item · item · item
 *                 item
 */
struct rf_flow {
  struct rf_buffer *out;
  const struct rf_style *style;
  size_t column, indent;
  bool fresh; /* nothing stands on this line yet */
};

#define RF_LABEL_COLUMNS 9 /* with the margin */
#define RF_SPARK_COLUMNS 20

struct rf_flow rf_flow_begin(struct rf_buffer *out, const char *label, const struct rf_style *style);
void rf_flow_item(struct rf_flow *flow, const char *format, ...) __attribute__((format(printf, 2, 3)));
void rf_flow_end(struct rf_flow *flow);

void rf_text_functions(struct rf_buffer *out, const struct rf_report *report,
                       const struct rf_text_plan *plan);
void rf_text_per_function(struct rf_buffer *out, const struct rf_report *report,
                          const struct rf_text_plan *plan);
/* Violations, spans, kept calls; nothing where there are none. */
void rf_text_rules(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style);
void rf_text_sites(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style);
void rf_text_resources(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style);

/* A function's name for width columns: parameters and template arguments give way before letters do. */
void rf_add_function_name(struct rf_buffer *out, const char *name, size_t columns,
                          const struct rf_style *style);
