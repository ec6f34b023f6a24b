/*
 * Two sets of runs against each other. Of every function present in both, the mean and the p95; of the whole,
 * the heap's peak. A side's value is the median of its runs; what grew by more than the tolerance has
 * regressed.
 */
#pragma once

#include "report/buffer.h"
#include "report/display.h"
#include "report/model.h"

struct rf_side {
  double median, min, max;
  size_t runs;
  uint64_t calls;
};

enum rf_change { RF_SAME, RF_REGRESSED, RF_IMPROVED };

struct rf_compared {
  const char *function, *module; /* function is NULL for the process's own figures */
  const char *metric;            /* mean_s, p95_s, heap.peak_bytes */
  struct rf_side base, fresh;
  double ratio; /* fresh/base - 1; NaN where base is 0 */
  enum rf_change change;
  bool weak;     /* few calls, or a wide confidence interval: may be chance */
  bool overlaps; /* the sides' ranges overlap */
};

/* Of the machines, in the words of environment; values as text. */
struct rf_difference {
  const char *key, *base, *fresh;
};

struct rf_comparison {
  struct rf_arena *arena;
  double tolerance;
  struct rf_compared *row; /* the worst first */
  size_t rows;
  struct rf_report_skipped *only_base,
      *only_fresh; /* functions that disappeared, appeared (reason is unused) */
  size_t only_bases, only_freshes;
  size_t common, regressed, improved;
  size_t base_runs, fresh_runs;
  struct rf_difference *difference;
  size_t differences;
};

/* The strings of the result lie in the reports, which must outlive it. */
struct rf_comparison *rf_compare(struct rf_report *const *base, size_t base_count,
                                 struct rf_report *const *fresh, size_t fresh_count, double tolerance);
/* compare_machines.c: a part of rf_compare. */
void rf_compare_machines(struct rf_comparison *comparison, const struct rf_report *base,
                         const struct rf_report *fresh);
void rf_comparison_free(struct rf_comparison *comparison);

void rf_comparison_text(struct rf_buffer *out, const struct rf_comparison *c, const struct rf_style *style);
void rf_comparison_json(struct rf_buffer *out, const struct rf_comparison *c);
void rf_comparison_markdown(struct rf_buffer *out, const struct rf_comparison *c);
void rf_comparison_junit(struct rf_buffer *out, const struct rf_comparison *c);
