/*
 * How values look to people: durations, sizes, counts, bars, sparklines; and how text that comes from files
 * is made harmless: control characters, broken UTF-8, bidirectional overrides and what the terminal can't
 * show become visible escapes, so that a function's name can't move a cursor or fake a line.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "report/buffer.h"

struct rf_style {
  bool colour;  /* ANSI colours */
  bool unicode; /* block characters and names beyond ASCII */
  int width;    /* columns, at least 60 */
};

/* For a descriptor: colour on a terminal (its name as TERM has it) unless no_colour is set, unicode by the
 * locale; width: 100 at most. Both may be NULL. */
struct rf_style rf_style_for(int fd, const char *terminal, const char *no_colour);

/* Short forms of at most 7 columns; "-" for unknown ones. They share one static ring of buffers: use at once.
 */
const char *rf_show_duration(double seconds, const struct rf_style *style);
const char *rf_show_bytes(double bytes);
const char *rf_show_count(double count);
const char *rf_show_ratio(double ratio); /* 0.0123 is 1.2% */

/* Columns that harmless text takes, after escaping. */
size_t rf_text_columns(const char *text, const struct rf_style *style);
/* Adds text escaped and cut to columns: a longer one keeps both ends around an ellipsis. Returns the columns
 * used. */
size_t rf_add_text(struct rf_buffer *out, const char *text, size_t columns, const struct rf_style *style);
/* The same, filled up with blanks. */
void rf_add_padded(struct rf_buffer *out, const char *text, size_t columns, bool right,
                   const struct rf_style *style);

/* value/full of columns, in eighths where unicode allows; always exactly columns wide. */
void rf_add_bar(struct rf_buffer *out, double value, double full, size_t columns,
                const struct rf_style *style);
/* One column a value, scaled to the highest; NaN is a blank. */
void rf_add_sparkline(struct rf_buffer *out, const double *values, size_t count, double full,
                      const struct rf_style *style);

enum rf_colour { RF_PLAIN, RF_DIM, RF_BOLD, RF_GOOD, RF_WARN, RF_BAD, RF_ACCENT };
/* Begins a colour (RF_PLAIN ends it); nothing where the style has none. */
void rf_add_colour(struct rf_buffer *out, enum rf_colour colour, const struct rf_style *style);
