/* The text report's allocation sites: who held the memory at the peak, who still does, who allocates for a
 * moment only. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report/sites.h"
#include "report/symbolize.h"
#include "report/text_parts.h"

#define SITES_SHOWN 5
#define FRAMES_SHOWN 4

/* Frames that say least: the C library's own start, and wrappers that only pass an allocation on. */
static bool dull(const char *function) {
  static const char *const names[] = {
      "operator new", "std::allocator", "__gnu_cxx::", "std::allocator_traits", "xmalloc",
      "__libc_start", "_start",         "clone",       "start_thread"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strncmp(function, names[i], strlen(names[i]))) return true;
  return false;
}

static void add_stack(struct rf_buffer *out, const struct rf_report *report,
                      const struct rf_report_site *site, const struct rf_style *style) {
  struct rf_buffer line = {0};
  size_t shown = 0;
  for (size_t i = 0; i < site->depth && shown < FRAMES_SHOWN; i++) {
    size_t count;
    const struct rf_report_symbol *symbol = rf_symbols_of(report, &site->frame[i], &count);
    for (size_t k = 0; k < count && shown < FRAMES_SHOWN; k++) {
      char text[2048];
      if (dull(symbol[k].function)) continue;
      rf_symbol_text(text, sizeof text, &symbol[k]);
      char *parameters = strchr(text, '(');
      if (symbol[k].function[0] && strchr(symbol[k].function, '(') &&
          parameters) { /* the place says more than parameters do */
        const char *place = strrchr(text, '(');
        memmove(parameters + 1, place, strlen(place) + 1);
        *parameters = ' ';
      }
      rf_buffer_printf(&line, "%s%s", shown++ ? " < " : "", text);
    }
  }
  if (!shown) rf_buffer_text(&line, site->others ? "all other sites" : "an unknown stack");
  rf_add_text(out, line.bytes, (size_t)style->width - 34, style);
  rf_buffer_free(&line);
}

static void add_row(struct rf_buffer *out, const struct rf_report *report, const struct rf_report_site *site,
                    bool first, const struct rf_style *style) {
  rf_flow_begin(out, first ? "SITES" : "", style);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, rf_show_bytes(site->at_peak_bytes), 9, true, style);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, rf_show_bytes(site->live_bytes), 9, true, style);
  rf_buffer_text(out, "  ");
  add_stack(out, report, site, style);
  rf_buffer_char(out, '\n');
}

/* What is suspected, the fastest first in the report's order of sites. */
static void add_leaks(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  size_t shown = 0;
  for (size_t i = 0; i < report->heap.sites && shown < SITES_SHOWN; i++) {
    const struct rf_report_site *site = &report->heap.site[i];
    if (!rf_site_leaks(site)) continue;
    struct rf_buffer growth = {0};
    if (site->trend) rf_buffer_printf(&growth, "+%s/s", rf_show_bytes(site->trend->growth_bytes_per_s));
    rf_flow_begin(out, shown++ ? "" : "LEAKS", style);
    rf_buffer_char(out, ' ');
    rf_add_padded(out, site->trend ? growth.bytes : "lost", 13, true, style);
    rf_buffer_char(out, ' ');
    rf_add_padded(out, rf_show_bytes(site->reachable == 0 ? site->lost_bytes : site->live_bytes), 9, true,
                  style);
    rf_buffer_text(out, "  ");
    add_stack(out, report, site, style);
    rf_buffer_char(out, '\n');
    rf_buffer_free(&growth);
  }
}

void rf_text_sites(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_heap *heap = &report->heap;
  if (!heap->sites) return;
  rf_flow_begin(out, "", style);
  rf_add_colour(out, RF_DIM, style);
  rf_buffer_printf(out, " %9s %9s  %s\n", "at peak", "at end", "allocated by");
  rf_add_colour(out, RF_PLAIN, style);
  for (size_t i = 0; i < heap->sites && i < SITES_SHOWN; i++)
    add_row(out, report, &heap->site[i], i == 0, style);
  add_leaks(out, report, style);
}
