/* The heap, its allocation sites and leaks. */
#include <stdio.h>

#include "report/json_parts.h"
#include "report/sites.h"
#include "report/symbolize.h"

static void put_size_histogram(struct rf_json *json, const struct rf_report_heap *heap) {
  rf_json_open_flat(json, "size_histogram", '[');
  for (unsigned k = 0; k < RF_HEAP_CLASSES; k++) {
    if (!heap->size_class[k]) continue;
    rf_json_open_flat(json, NULL, '[');
    rf_json_number(json, NULL, ldexp(1, (int)k));
    rf_json_count(json, NULL, heap->size_class[k]);
    rf_json_close(json, ']');
  }
  rf_json_close(json, ']');
}

static void put_rss(struct rf_json *json, struct rf_report *report) {
  struct rf_json_scope scope = {json, report, "heap.rss", "not measured at the end of the process"};
  const struct rf_report_heap *h = &report->heap;
  rf_json_open(json, "rss", '{');
  rf_json_put(&scope, "heap_bytes", h->rss_heap_bytes);
  rf_json_put(&scope, "slack_bytes", h->rss_slack_bytes);
  rf_json_put(&scope, "thread_stack_bytes", h->rss_thread_stack_bytes);
  rf_json_put(&scope, "file_bytes", h->rss_file_bytes);
  rf_json_put(&scope, "anonymous_bytes", h->rss_anonymous_bytes);
  rf_json_put(&scope, "refunc_bytes", h->rss_refunc_bytes);
  rf_json_close(json, '}');
}

static void put_stack(struct rf_json *json, struct rf_report *report, const struct rf_report_site *site) {
  char text[2048];
  rf_json_open_flat(json, "stack", '[');
  for (size_t i = 0; i < site->depth; i++) {
    size_t count;
    const struct rf_report_symbol *symbol = rf_symbols_of(report, &site->frame[i], &count);
    for (size_t k = 0; k < count; k++) {
      rf_symbol_text(text, sizeof text, &symbol[k]);
      rf_json_text(json, NULL, text);
    }
  }
  if (site->others) {
    snprintf(text, sizeof text, "(%zu further sites)", site->others);
    rf_json_text(json, NULL, text);
  }
  rf_json_close(json, ']');
}

static void put_interval(struct rf_json *json, const struct rf_report_site *site) {
  double low, high;
  rf_site_interval(site, &low, &high);
  rf_json_open_flat(json, "ci95_bytes", '[');
  rf_json_number(json, NULL, low);
  rf_json_number(json, NULL, high);
  rf_json_close(json, ']');
}

static void put_sites(struct rf_json *json, struct rf_report *report) {
  struct rf_json_scope scope = {json, report, "heap.sites[]",
                                "of no freed block of this site the life was measured"};
  rf_json_open(json, "sites", '[');
  for (size_t i = 0; i < report->heap.sites; i++) {
    const struct rf_report_site *s = &report->heap.site[i];
    rf_json_open(json, NULL, '{');
    put_stack(json, report, s);
    rf_json_put(&scope, "alloc_calls", s->alloc_calls);
    rf_json_put(&scope, "requested_bytes", s->requested_bytes);
    rf_json_put(&scope, "alloc_bytes", s->alloc_bytes);
    rf_json_put(&scope, "live_bytes", s->live_bytes);
    rf_json_put(&scope, "live_blocks", s->live_blocks);
    rf_json_put(&scope, "peak_bytes", s->peak_bytes);
    rf_json_put(&scope, "at_peak_bytes", s->at_peak_bytes);
    rf_json_put(&scope, "temporary_calls", s->temporary_calls);
    rf_json_put(&scope, "mean_lifetime_s", rf_site_lifetime_s(s));
    rf_json_put(&scope, "stderr_bytes", rf_site_stderr(s));
    put_interval(json, s);
    rf_json_bool(json, "truncated", s->truncated);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_leaks(struct rf_json *json, struct rf_report *report) {
  struct rf_json_scope scope = {json, report, "heap.leaks[]",
                                "no trend: its live bytes were seen too seldom"};
  rf_json_open(json, "leaks", '[');
  for (size_t i = 0; i < report->heap.sites; i++) {
    const struct rf_report_site *s = &report->heap.site[i];
    if (!rf_site_leaks(s)) continue;
    rf_json_open(json, NULL, '{');
    put_stack(json, report, s);
    rf_json_put(&scope, "live_bytes", s->reachable == 0 ? s->lost_bytes : s->live_bytes);
    rf_json_put(&scope, "live_blocks", s->reachable == 0 ? s->lost_blocks : s->live_blocks);
    rf_json_put(&scope, "growth_bytes_per_s", s->trend ? s->trend->growth_bytes_per_s : NAN);
    rf_json_put(&scope, "confidence", s->trend ? s->trend->confidence : NAN);
    if (s->reachable >= 0)
      rf_json_bool(json, "reachable", s->reachable);
    else
      rf_json_put_null(&(struct rf_json_scope){json, report, "heap.leaks[]", "heap.leak_check is off"},
                       "reachable");
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_figures(const struct rf_json_scope *scope, const double *figures) {
  for (size_t i = 0; i < RF_ALLOCATOR_FIGURES; i++)
    if (i <= RF_ALLOCATOR_MAPPED || !isnan(figures[i]))
      rf_json_put(scope, rf_allocator_figure_names[i], figures[i]);
  rf_json_put(scope, "fragmentation_ratio", rf_allocator_fragmentation(figures));
}

/* Allocators tell different things: only what all do is there without a value, too. */
static void put_allocator(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_heap *h = &report->heap;
  struct rf_json_scope scope = {json, report, "heap.allocator", "not asked at the end of the process"};
  struct rf_json_scope peak = {json, report, "heap.allocator.at_peak", "not asked"};
  rf_json_open(json, "allocator", '{');
  rf_json_text(json, "name", *h->allocator ? h->allocator : "app");
  put_figures(&scope, h->at_end);
  if (!isnan(h->at_peak[RF_ALLOCATOR_ALLOCATED])) {
    rf_json_open(json, "at_peak", '{');
    put_figures(&peak, h->at_peak);
    rf_json_close(json, '}');
  }
  rf_json_close(json, '}');
}

static void put_leak_check(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_heap *h = &report->heap;
  struct rf_json_scope scope = {json, report, "heap.leak_check", "no check was made"};
  if (!(h->check_blocks >= 0)) {
    rf_json_put_null(&(struct rf_json_scope){json, report, "heap",
                                             "heap.leak_check is off, or the process did not end itself"},
                     "leak_check");
    return;
  }
  rf_json_open(json, "leak_check", '{');
  rf_json_bool(json, "halted", !(h->check_unhalted > 0));
  rf_json_put(&scope, "threads", h->check_threads);
  rf_json_put(&scope, "blocks", h->check_blocks);
  rf_json_put(&scope, "lost_blocks", h->check_lost_blocks);
  rf_json_put(&scope, "lost_bytes", h->check_lost_bytes);
  rf_json_put(&scope, "duration_s", h->check_duration_s);
  rf_json_close(json, '}');
}

void rf_json_heap(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_heap *h = &report->heap;
  struct rf_json_scope scope = {json, report, "heap", "not recorded"};
  struct rf_json_scope mapped = {json, report, "heap.mapped", "not recorded"};
  rf_json_open(json, "heap", '{');
  rf_json_text(json, "mode", h->mode);
  rf_json_put(&scope, "alloc_calls", h->alloc_calls);
  rf_json_put(&scope, "free_calls", h->free_calls);
  rf_json_put(&scope, "requested_bytes", h->requested_bytes);
  rf_json_put(&scope, "alloc_bytes", h->alloc_bytes);
  rf_json_put(&scope, "free_bytes", h->free_bytes);
  rf_json_put(&scope, "live_bytes", h->live_bytes);
  rf_json_put(&scope, "live_blocks", h->live_blocks);
  rf_json_put(&scope, "peak_bytes", h->peak_bytes);
  rf_json_put(&scope, "peak_rss_bytes", h->peak_rss_bytes);
  put_size_histogram(json, h);
  rf_json_put(&scope, "inherited_live_bytes", h->inherited_live_bytes);
  rf_json_put(&scope, "inherited_live_blocks", h->inherited_live_blocks);
  rf_json_open(json, "mapped", '{');
  rf_json_put(&mapped, "mmap_bytes", h->mmap_bytes);
  rf_json_put(&mapped, "munmap_bytes", h->munmap_bytes);
  rf_json_put(&mapped, "live_bytes", h->mapped_live_bytes);
  rf_json_close(json, '}');
  put_rss(json, report);
  put_sites(json, report);
  put_leaks(json, report);
  put_leak_check(json, report);
  rf_json_put(&scope, "realloc_calls", h->realloc_calls);
  rf_json_put(&scope, "failed_calls", h->failed_calls);
  put_allocator(json, report);
  rf_json_open(json, "unseen", '[');
  for (size_t i = 0; i < h->unseens; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "module", h->unseen[i].module);
    rf_json_text(json, "reason", h->unseen[i].reason);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
  rf_json_close(json, '}');
}
