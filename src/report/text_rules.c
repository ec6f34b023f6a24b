/* Violated rules, spans and slow calls for people. */
#include <string.h>

#include "report/symbolize.h"
#include "report/text_parts.h"

#define EXAMPLES_SHOWN 2
#define KEPT_SHOWN 3
#define FRAMES_SHOWN 3

/* What every stack ends in says nothing. */
static bool dull(const char *function) {
  static const char *const names[] = {"__libc_start", "_start", "start_thread", "clone"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strncmp(function, names[i], strlen(names[i]))) return true;
  return false;
}

static void add_frames(struct rf_buffer *line, const struct rf_report *report,
                       const struct rf_report_call *call) {
  size_t shown = 0;
  for (size_t i = 0; i < call->depth && shown < FRAMES_SHOWN; i++) {
    size_t count;
    const struct rf_report_symbol *symbol = rf_symbols_of(report, &call->frame[i], &count);
    for (size_t k = 0; k < count && shown < FRAMES_SHOWN; k++) {
      char text[1024];
      if (dull(symbol[k].function)) continue;
      rf_buffer_printf(line, "%s%s", shown++ ? " < " : " in ", rf_symbol_text(text, sizeof text, &symbol[k]));
    }
  }
}

static void add_line(struct rf_buffer *out, struct rf_buffer *line, const struct rf_style *style) {
  rf_buffer_text(out, "    ");
  rf_add_text(out, line->bytes, (size_t)style->width - 5, style);
  rf_buffer_char(out, '\n');
  rf_buffer_free(line);
}

static void add_example(struct rf_buffer *out, const struct rf_report *report,
                        const struct rf_report_violation *v, const struct rf_report_call *call,
                        const struct rf_style *style) {
  struct rf_buffer line = {0};
  rf_buffer_printf(&line, "%s", v->parameter);
  if (call->has_index) rf_buffer_printf(&line, "[%llu]", (unsigned long long)call->index);
  rf_buffer_printf(&line, " is %s", call->value);
  if (*call->message) rf_buffer_printf(&line, " (%s)", call->message);
  rf_buffer_printf(&line, " at %s", rf_show_duration(call->time_s, style));
  rf_buffer_printf(&line, ", thread %u,", call->thread);
  add_frames(&line, report, call);
  add_line(out, &line, style);
}

static void add_violation(struct rf_buffer *out, const struct rf_report *report,
                          const struct rf_report_violation *v, const struct rf_style *style) {
  struct rf_buffer line = {0};
  rf_buffer_printf(&line, "%s  %s: %s", v->function, v->parameter, v->rule);
  rf_buffer_text(out, "  ");
  rf_add_colour(out, v->count ? RF_BAD : RF_DIM, style);
  rf_add_padded(out, rf_show_count((double)v->count), 7, true, style);
  rf_add_colour(out, RF_PLAIN, style);
  rf_buffer_text(out, "  ");
  rf_add_text(out, line.bytes, (size_t)style->width - 30, style);
  if (v->unchecked) rf_buffer_printf(out, "  (%s not checked)", rf_show_count((double)v->unchecked));
  rf_buffer_char(out, '\n');
  rf_buffer_free(&line);
  for (size_t i = 0; i < v->examples && i < EXAMPLES_SHOWN; i++)
    add_example(out, report, v, &v->example[i], style);
}

static void add_violations(struct rf_buffer *out, const struct rf_report *report,
                           const struct rf_style *style) {
  if (!report->violations) return;
  rf_buffer_text(out, "VIOLATIONS\n");
  for (size_t i = 0; i < report->violations; i++) add_violation(out, report, &report->violation[i], style);
}

static void add_span(struct rf_buffer *out, const struct rf_report_function *f,
                     const struct rf_report_span *span, const struct rf_style *style) {
  rf_buffer_text(out, "  ");
  rf_add_padded(out, f->name, 18, false, style);
  const double times[] = {f->mean_s, f->p50_s, f->p95_s, f->p99_s, f->max_s};
  rf_add_padded(out, rf_show_count((double)f->timed_calls), 8, true, style);
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    rf_buffer_char(out, ' ');
    rf_add_padded(out, rf_show_duration(times[i], style), 8, true, style);
  }
  rf_buffer_printf(out, "  up to %s in flight", rf_show_count((double)span->in_flight_max));
  if (span->open) rf_buffer_printf(out, ", %s open", rf_show_count((double)span->open));
  if (span->duplicate_keys)
    rf_buffer_printf(out, ", %s duplicate", rf_show_count((double)span->duplicate_keys));
  if (span->unmatched_ends)
    rf_buffer_printf(out, ", %s ends without a begin", rf_show_count((double)span->unmatched_ends));
  if (span->dropped) rf_buffer_printf(out, ", %s dropped", rf_show_count((double)span->dropped));
  rf_buffer_char(out, '\n');
}

static void add_spans(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  if (!report->spans || !report->spans->functions) return;
  rf_buffer_text(out, "SPAN                  ENDED     MEAN      P50      P95      P99      MAX\n");
  for (size_t i = 0; i < report->spans->functions; i++)
    add_span(out, &report->spans->function[i], &report->spans->span[i], style);
}

static void add_kept(struct rf_buffer *out, const struct rf_report *report,
                     const struct rf_report_function *f, const struct rf_style *style) {
  if (!f->kepts) return;
  rf_buffer_text(out, "SLOW  ");
  rf_add_function_name(out, f->name, (size_t)style->width - 30, style);
  rf_buffer_printf(out, "  %zu kept\n", f->kepts);
  for (size_t i = 0; i < f->kepts && i < KEPT_SHOWN; i++) {
    struct rf_buffer line = {0};
    rf_buffer_printf(&line, "%s", rf_show_duration(f->kept[i].duration_s, style));
    rf_buffer_printf(&line, " until %s, thread %u, (%s)", rf_show_duration(f->kept[i].time_s, style),
                     f->kept[i].thread, f->kept[i].args);
    add_frames(&line, report, &f->kept[i]);
    add_line(out, &line, style);
  }
}

void rf_text_rules(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  add_spans(out, report, style);
  for (size_t i = 0; i < report->functions; i++) add_kept(out, report, &report->function[i], style);
  add_violations(out, report, style);
  bool any = report->violations || (report->spans && report->spans->functions);
  for (size_t i = 0; i < report->functions; i++) any = any || report->function[i].kepts;
  if (any) rf_buffer_char(out, '\n');
}
