/* The text report: what a person reads first. A pure function of the model. */
#pragma once

#include "report/buffer.h"
#include "report/display.h"
#include "report/model.h"

struct rf_text_plan {
  struct rf_style style;
  size_t functions; /* rows at most; 0: all */
};

/* Adds the report; every line ends with a newline and fits style.width columns. Cost: well under 10 ms. */
void rf_text_report(struct rf_buffer *out, const struct rf_report *report, const struct rf_text_plan *plan);
