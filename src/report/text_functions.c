/*
 * The table of functions. Columns give way where the width is small: the name keeps at least what it needs,
 * up to 30.
 *
 *   FUNCTION   TOTAL ▆▆▆▆▆▆   SELF  CALLS  MEAN  P95  P99  LATENCY  MAX
 *
 * LATENCY is the histogram from the shortest to the longest call on a logarithmic axis.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/text_parts.h"

enum { BAR = 6, CELL = 7, SPARK = 9, NAME_WANTED = 30 };

struct layout {
  size_t name, bar;
  bool self, p95, p99, modules;
};

/* --- names --- */

/* Copies name without what stands between open and close at the outermost level, which becomes mark. */
static char *without(const char *name, char open, char close, const char *mark) {
  struct rf_buffer out = {0};
  int depth = 0;
  bool is_operator = strncmp(name, "operator", 8) == 0 || strstr(name, "::operator");
  rf_buffer_text(&out, "");
  for (const char *at = name; *at; at++) {
    bool opens = *at == open && strncmp(at, "(anonymous", 10) != 0 && !(is_operator && open == '<');
    if (opens && depth++ == 0) rf_buffer_printf(&out, "%c%s%c", open, mark, close);
    if (depth == 0) rf_buffer_char(&out, *at);
    if (*at == close && depth > 0) depth--;
  }
  return out.bytes;
}

void rf_add_function_name(struct rf_buffer *out, const char *name, size_t columns,
                          const struct rf_style *style) {
  if (rf_text_columns(name, style) <= columns) {
    rf_add_padded(out, name, columns, false, style);
    return;
  }
  const char *mark = style->unicode ? "\u2026" : "..";
  char *short_name = without(name, '(', ')', mark);
  if (rf_text_columns(short_name, style) > columns) {
    char *shorter = without(short_name, '<', '>', mark);
    free(short_name);
    short_name = shorter;
  }
  rf_add_padded(out, short_name, columns, false, style);
  free(short_name);
}

/* --- layout --- */

static bool self_tells(const struct rf_report *report) {
  for (size_t i = 0; i < report->functions; i++) {
    const struct rf_report_function *f = &report->function[i];
    if (f->total_s > 0 && f->self_s < f->total_s * 0.995) return true;
  }
  return false;
}

static bool several_modules(const struct rf_report *report) {
  for (size_t i = 1; i < report->functions; i++)
    if (strcmp(report->function[i].module, report->function[0].module) != 0) return true;
  return false;
}

static size_t widest_name(const struct rf_report *report, size_t rows, bool modules,
                          const struct rf_style *style) {
  size_t widest = 8;
  for (size_t i = 0; i < rows; i++) {
    size_t columns = rf_text_columns(report->function[i].name, style);
    if (modules) columns += 3 + rf_text_columns(report->function[i].module, style);
    if (columns > widest) widest = columns;
  }
  return widest;
}

static size_t columns_beside_name(const struct layout *l) {
  size_t cells = 3 + l->self + l->p95 + l->p99; /* calls, mean, max */
  return 1 + 2 + CELL + 1 + l->bar + cells * (CELL + 1) + SPARK + 1;
}

static struct layout plan_columns(const struct rf_report *report, size_t rows, const struct rf_style *style) {
  struct layout l = {
      .bar = BAR, .self = self_tells(report), .p95 = true, .p99 = true, .modules = several_modules(report)};
  size_t widest = widest_name(report, rows, l.modules, style), width = (size_t)style->width;
  size_t wanted = widest < NAME_WANTED ? widest : NAME_WANTED;
  if (columns_beside_name(&l) + wanted > width) l.bar = 4;
  if (columns_beside_name(&l) + wanted > width) l.p95 = false;
  if (columns_beside_name(&l) + wanted > width && width < 92) l.p99 = false;
  if (columns_beside_name(&l) + 12 > width) l.self = false;
  size_t left = width - columns_beside_name(&l);
  l.name = widest < left ? widest : left;
  if (l.name < 16) l.name = left < 16 ? left : 16;
  return l;
}

/* --- rows --- */

static void add_cell(struct rf_buffer *out, const char *text, const struct rf_style *style) {
  rf_buffer_char(out, ' ');
  rf_add_padded(out, text, CELL, true, style);
}

static void add_titles(struct rf_buffer *out, const struct layout *l, const struct rf_style *style) {
  rf_add_colour(out, RF_BOLD, style);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, "FUNCTION", l->name, false, style);
  rf_buffer_char(out, ' ');
  add_cell(out, "TOTAL", style);
  rf_buffer_repeat(out, " ", l->bar + 1);
  if (l->self) add_cell(out, "SELF", style);
  add_cell(out, "CALLS", style);
  add_cell(out, "MEAN", style);
  if (l->p95) add_cell(out, "P95", style);
  if (l->p99) add_cell(out, "P99", style);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, " LATENCY", SPARK, false, style);
  rf_buffer_text(out, "    MAX");
  rf_add_colour(out, RF_PLAIN, style);
  rf_buffer_char(out, '\n');
}

/* Counts over a logarithmic axis from the shortest to the longest call. */
static void spark_values(const struct rf_report_function *f, double *column, size_t columns) {
  for (size_t i = 0; i < columns; i++) column[i] = 0;
  double low = f->min_s > 1e-9 ? f->min_s : 1e-9, high = f->max_s > low ? f->max_s : low;
  double span = log(high / low);
  for (size_t i = 0; i < f->buckets; i++) {
    double at = f->bucket[i].middle_s > low ? log(f->bucket[i].middle_s / low) : 0;
    size_t index = span > 1e-9 ? (size_t)(at / span * (double)columns) : columns / 2;
    column[index < columns ? index : columns - 1] += f->bucket[i].weight;
  }
}

static void add_spark(struct rf_buffer *out, const struct rf_report_function *f,
                      const struct rf_style *style) {
  double column[SPARK], highest = 0;
  spark_values(f, column, SPARK);
  for (size_t i = 0; i < SPARK; i++) highest = column[i] > highest ? column[i] : highest;
  rf_buffer_char(out, ' ');
  rf_add_colour(out, RF_ACCENT, style);
  rf_add_sparkline(out, column, SPARK, highest, style);
  rf_add_colour(out, RF_PLAIN, style);
}

static void add_name(struct rf_buffer *out, const struct rf_report_function *f, const struct layout *l,
                     const struct rf_style *style) {
  size_t name = rf_text_columns(f->name, style), module = rf_text_columns(f->module, style);
  if (!l->modules || name + 3 + module > l->name) {
    rf_add_function_name(out, f->name, l->name, style);
    return;
  }
  rf_add_text(out, f->name, name, style);
  rf_add_colour(out, RF_DIM, style);
  rf_buffer_text(out, " [");
  rf_add_text(out, f->module, module, style);
  rf_buffer_char(out, ']');
  rf_add_colour(out, RF_PLAIN, style);
  rf_buffer_repeat(out, " ", l->name - name - 3 - module);
}

/* Before the name of a function whose figures are of calls through slots only. */
static const char *slots_mark(const struct rf_style *style) { return style->unicode ? "\u00b0" : "*"; }

static void add_row(struct rf_buffer *out, const struct rf_report_function *f, const struct layout *l,
                    double most, const struct rf_style *style) {
  rf_buffer_text(out, f->by_slots ? slots_mark(style) : " ");
  add_name(out, f, l, style);
  rf_buffer_char(out, ' ');
  rf_buffer_char(out, f->ci95_ratio != 0 ? '~' : ' ');
  rf_add_padded(out, rf_show_duration(f->total_s, style), CELL, true, style);
  rf_buffer_char(out, ' ');
  rf_add_colour(out, RF_GOOD, style);
  rf_add_bar(out, f->total_s, most, l->bar, style);
  rf_add_colour(out, RF_PLAIN, style);
  if (l->self) add_cell(out, rf_show_duration(f->self_s, style), style);
  add_cell(out, rf_show_count((double)f->calls), style);
  add_cell(out, rf_show_duration(f->mean_s, style), style);
  if (l->p95) add_cell(out, rf_show_duration(f->p95_s, style), style);
  if (l->p99) add_cell(out, rf_show_duration(f->p99_s, style), style);
  add_spark(out, f, style);
  add_cell(out, rf_show_duration(f->max_s, style), style);
  rf_buffer_char(out, '\n');
}

/* --- notes below --- */

static size_t called(const struct rf_report *report) {
  size_t count = 0;
  for (size_t i = 0; i < report->functions; i++) count += report->function[i].calls != 0;
  return count;
}

static double worst_confidence(const struct rf_report *report, size_t rows) {
  double worst = 0;
  for (size_t i = 0; i < rows; i++) worst = rf_max_known(worst, report->function[i].ci95_ratio);
  return worst;
}

static double rest_total(const struct rf_report *report, size_t from) {
  double sum = 0;
  for (size_t i = from; i < report->functions; i++) sum = rf_add_known(sum, report->function[i].total_s);
  return sum;
}

static void sum_events(const struct rf_report *report, uint64_t *unwound, uint64_t *open) {
  for (size_t i = 0; i < report->functions; i++) {
    *unwound += report->function[i].unwound;
    *open += report->function[i].open;
  }
}

static bool any_by_slots(const struct rf_report *report, size_t rows) {
  for (size_t i = 0; i < rows; i++)
    if (report->function[i].by_slots) return true;
  return false;
}

/* People know both names of a folded function; those with an underscore in front are libraries' own matter.
 */
static void add_namesakes(struct rf_flow *flow, const struct rf_report *report, size_t rows) {
  for (size_t i = 0, shown = 0; i < rows && shown < 3; i++) {
    const char *others = report->function[i].aliases;
    size_t length = others ? strcspn(others, "\n") : 0;
    if (!length || *others == '_' || length > 60) continue;
    shown++;
    rf_flow_item(flow, "%s is also %.*s%s", report->function[i].name, (int)length, others,
                 others[length] ? ", ..." : "");
  }
}

static void add_notes(struct rf_buffer *out, const struct rf_report *report, size_t rows,
                      const struct rf_style *style) {
  struct rf_flow flow = {.out = out, .style = style, .column = 1, .indent = 1, .fresh = true};
  size_t before = out->length, with_calls = called(report);
  uint64_t unwound = 0, open = 0;
  sum_events(report, &unwound, &open);
  rf_buffer_char(out, ' ');
  if (rows < with_calls)
    rf_flow_item(&flow, "%zu more functions with %s (--all shows them)", with_calls - rows,
                 rf_show_duration(rest_total(report, rows), style));
  if (report->sampled)
    rf_flow_item(&flow, "~ estimated: every call is counted, a random share timed, within %s (95%%)",
                 rf_show_ratio(worst_confidence(report, rows)));
  if (any_by_slots(report, rows))
    rf_flow_item(&flow, "%s its code takes no jump: only calls through other modules' PLT and GOT are seen",
                 slots_mark(style));
  if (unwound) rf_flow_item(&flow, "%s left by an exception or a jump", rf_show_count((double)unwound));
  if (open) rf_flow_item(&flow, "%s still open at the end", rf_show_count((double)open));
  add_namesakes(&flow, report, rows);
  if (report->functions > with_calls) rf_flow_item(&flow, "%zu never called", report->functions - with_calls);
  if (flow.fresh)
    out->bytes[out->length = before] = 0;
  else
    rf_flow_end(&flow);
}

static void add_remark(struct rf_buffer *out, const char *text, const struct rf_style *style) {
  rf_buffer_char(out, ' ');
  rf_add_text(out, text, (size_t)style->width - 1, style);
  rf_buffer_char(out, '\n');
}

void rf_text_functions(struct rf_buffer *out, const struct rf_report *report,
                       const struct rf_text_plan *plan) {
  const struct rf_style *style = &plan->style;
  size_t rows = called(report);
  if (plan->functions && rows > plan->functions) rows = plan->functions;
  if (rows) {
    struct layout l = plan_columns(report, rows, style);
    add_titles(out, &l, style);
    for (size_t i = 0; i < rows; i++)
      add_row(out, &report->function[i], &l, report->function[0].total_s, style);
  } else if (report->functions == 0 && report->skips == 0 && report->unmatches == 0) {
    add_remark(out, "No function was asked for: name some with --trace PATTERN", style);
  } else if (report->functions == 0) {
    add_remark(out, "No function was timed.", style);
  }
  add_notes(out, report, rows, style);
  rf_buffer_char(out, '\n');
}

/* --- heap, system and edges by function, where they were asked for --- */

/* Of count columns of 10 as many as leave the name room. */
static size_t cells_that_fit(size_t count, const struct rf_style *style) {
  size_t fit = ((size_t)style->width - 1 - 24) / 10;
  return fit < count ? fit : count;
}

struct cell {
  const char *title;
  const char *text;
};

static void add_small_row(struct rf_buffer *out, const char *name, size_t columns, const struct cell *cells,
                          size_t count, bool title, const struct rf_style *style) {
  rf_buffer_char(out, ' ');
  if (title) rf_add_colour(out, RF_BOLD, style);
  rf_add_function_name(out, name, columns, style);
  for (size_t i = 0; i < count; i++) {
    rf_buffer_char(out, ' ');
    rf_add_padded(out, title ? cells[i].title : cells[i].text, 9, true, style);
  }
  if (title) rf_add_colour(out, RF_PLAIN, style);
  rf_buffer_char(out, '\n');
}

/* A peak that was only seen in a sample of the calls is a lower bound. */
static const char *show_peak(const struct rf_report_function *f, const struct rf_style *style) {
  static char text[32];
  if (!rf_function_sampled(f)) return rf_show_bytes(f->heap.peak_bytes);
  snprintf(text, sizeof text, "%s%s", style->unicode ? "≥" : ">", rf_show_bytes(f->heap.peak_bytes));
  return text;
}

static void add_heap_rows(struct rf_buffer *out, const struct rf_report *report, size_t rows,
                          const struct rf_style *style) {
  size_t shown = 0;
  for (size_t i = 0; i < report->functions && shown < rows; i++) {
    const struct rf_report_function *f = &report->function[i];
    if (!f->has_heap || !f->calls || !(f->heap.alloc_calls > 0 || f->heap.free_bytes > 0)) continue;
    const struct cell cells[] = {{"ALLOCS", rf_show_count(f->heap.alloc_calls)},
                                 {"ASKED FOR", rf_show_bytes(f->heap.requested_bytes)},
                                 {"ALLOCATED", rf_show_bytes(f->heap.alloc_bytes)},
                                 {"FREED", rf_show_bytes(f->heap.free_bytes)},
                                 {"NET", rf_show_bytes(f->heap.net_bytes)},
                                 {"PEAK", show_peak(f, style)}};
    size_t count = cells_that_fit(6, style), name = (size_t)style->width - 1 - 10 * count;
    if (!shown++) add_small_row(out, "HEAP BY FUNCTION", name, cells, count, true, style);
    add_small_row(out, f->name, name, cells, count, false, style);
  }
  if (shown) rf_buffer_char(out, '\n');
}

enum { SYSTEM_CELLS = 8 };

/* The GPU stands first where there is one: on narrow terminals the last ones are left out. */
static size_t system_cells(const struct rf_report *report, const struct rf_report_function *f,
                           struct cell *cells) {
  const struct rf_function_system *s = &f->system;
  size_t count = 0;
  cells[count++] = (struct cell){"CPU", rf_show_ratio(s->cpu_ratio)};
  if (report->system.gpus) cells[count++] = (struct cell){"GPU", rf_show_ratio(s->gpu_ratio)};
  cells[count++] = (struct cell){"FAULTS", rf_show_count(s->faults)};
  cells[count++] = (struct cell){"SWITCHES", rf_show_count(s->switches)};
  cells[count++] = (struct cell){"READ", rf_show_bytes(s->read_bytes)};
  cells[count++] = (struct cell){"WRITTEN", rf_show_bytes(s->write_bytes)};
  cells[count++] = (struct cell){"NETWORK", rf_show_bytes(s->sent_bytes + s->received_bytes)};
  cells[count++] = (struct cell){"PEAK RSS", rf_show_bytes(s->peak_rss_bytes)};
  return count;
}

static void add_system_rows(struct rf_buffer *out, const struct rf_report *report, size_t rows,
                            const struct rf_style *style) {
  struct cell cells[SYSTEM_CELLS];
  size_t shown = 0;
  for (size_t i = 0; i < report->functions && shown < rows; i++) {
    const struct rf_report_function *f = &report->function[i];
    if (!f->has_system || !f->calls) continue;
    size_t count = cells_that_fit(system_cells(report, f, cells), style),
           name = (size_t)style->width - 1 - 10 * count;
    if (!shown++) add_small_row(out, "SYSTEM BY FUNCTION", name, cells, count, true, style);
    add_small_row(out, f->name, name, cells, count, false, style);
  }
  if (shown) rf_buffer_char(out, '\n');
}

static int by_edge_total(const void *left, const void *right) {
  const struct rf_report_edge *a = left, *b = right;
  return (a->total_s < b->total_s) - (a->total_s > b->total_s);
}

static void add_edge_row(struct rf_buffer *out, const struct rf_report *report,
                         const struct rf_report_edge *edge, const struct rf_style *style) {
  size_t name = ((size_t)style->width - 1 - 4 - 20) / 2;
  rf_buffer_char(out, ' ');
  rf_add_function_name(out, report->function[edge->caller].name, name, style);
  rf_buffer_text(out, style->unicode ? " \u2192 " : " > ");
  rf_add_function_name(out, report->function[edge->callee].name, name, style);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, rf_show_count((double)edge->calls), 9, true, style);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, rf_show_duration(edge->total_s, style), 9, true, style);
  rf_buffer_char(out, '\n');
}

static void add_edges(struct rf_buffer *out, const struct rf_report *report, size_t rows,
                      const struct rf_style *style) {
  if (!report->edges) return;
  struct rf_report_edge *list = malloc(report->edges * sizeof *list);
  if (!list) return;
  memcpy(list, report->edge, report->edges * sizeof *list);
  qsort(list, report->edges, sizeof *list, by_edge_total);
  size_t name = ((size_t)style->width - 1 - 4 - 20) / 2;
  rf_buffer_char(out, ' ');
  rf_add_colour(out, RF_BOLD, style);
  rf_add_padded(out, "CALLER", name + 3, false, style);
  rf_add_padded(out, "CALLEE", name, false, style);
  rf_buffer_text(out, "      CALLS     TOTAL");
  rf_add_colour(out, RF_PLAIN, style);
  rf_buffer_char(out, '\n');
  for (size_t i = 0; i < report->edges && i < rows; i++) add_edge_row(out, report, &list[i], style);
  rf_buffer_char(out, '\n');
  free(list);
}

void rf_text_per_function(struct rf_buffer *out, const struct rf_report *report,
                          const struct rf_text_plan *plan) {
  size_t rows = plan->functions ? 10 : SIZE_MAX;
  add_heap_rows(out, report, rows, &plan->style);
  add_system_rows(out, report, rows, &plan->style);
  add_edges(out, report, rows, &plan->style);
}
