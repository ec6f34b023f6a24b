/* See csv.h. */
#include "report/csv.h"

#include <string.h>

/*
 * Quoted always; control characters become blanks. A cell that a spreadsheet would take for a formula begins
 * with an apostrophe, its usual mark for text.
 */
static void add_cell(struct rf_buffer *out, const char *text) {
  rf_buffer_char(out, '"');
  if (*text && strchr("=+-@", *text)) rf_buffer_char(out, '\'');
  for (; *text; text++) {
    if (*text == '"') rf_buffer_char(out, '"');
    rf_buffer_char(out, (unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
  }
  rf_buffer_char(out, '"');
}

static void add_number(struct rf_buffer *out, double value) {
  rf_buffer_char(out, ',');
  if (isfinite(value)) rf_buffer_printf(out, "%.9g", value);
}

static void add_function(struct rf_buffer *out, const struct rf_report *report,
                         const struct rf_report_function *f) {
  rf_buffer_printf(out, "%u,", report->processes ? report->process[0].pid : 0);
  add_cell(out, f->name);
  rf_buffer_char(out, ',');
  add_cell(out, f->module);
  rf_buffer_printf(out, ",%s,%llu,%llu", f->mode, (unsigned long long)f->calls,
                   (unsigned long long)f->timed_calls);
  const double times[] = {f->total_s, f->self_s, f->mean_s, f->stddev_s, f->min_s,  f->max_s,
                          f->p50_s,   f->p90_s,  f->p95_s,  f->p99_s,    f->p999_s, f->ci95_ratio};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) add_number(out, times[i]);
  rf_buffer_printf(out, ",%llu,%llu,%llu", (unsigned long long)f->threads, (unsigned long long)f->unwound,
                   (unsigned long long)f->open);
  const double heap[] = {f->heap.alloc_calls, f->heap.requested_bytes, f->heap.alloc_bytes,
                         f->heap.free_bytes,  f->heap.net_bytes,       f->heap.peak_bytes};
  for (size_t i = 0; i < sizeof heap / sizeof *heap; i++) add_number(out, f->has_heap ? heap[i] : NAN);
  rf_buffer_text(out, "\r\n");
}

void rf_csv_report(struct rf_buffer *out, const struct rf_report *report, bool header) {
  if (header)
    rf_buffer_text(
        out,
        "pid,name,module,mode,calls,timed_calls,total_s,self_s,mean_s,stddev_s,min_s,max_s,p50_s,p90_s,p95_s,"
        "p99_s,p999_s,ci95_ratio,threads,unwound,open,heap_alloc_calls,heap_requested_bytes,"
        "heap_alloc_bytes,heap_free_bytes,heap_net_bytes,heap_peak_bytes\r\n");
  for (size_t i = 0; i < report->functions; i++) add_function(out, report, &report->function[i]);
}
