/* See folded.h. */
#include "report/folded.h"

#include <math.h>

#include "report/symbolize.h"

/* What would end a frame or a line becomes something harmless. */
static void add_frame(struct rf_buffer *out, const char *name) {
  for (; *name; name++) {
    unsigned char c = (unsigned char)*name;
    rf_buffer_char(out, c == ';' ? ':' : c < ' ' || c == 127 ? '?' : *name);
  }
}

static void add_stack(struct rf_buffer *out, const struct rf_report *report,
                      const struct rf_report_site *site) {
  if (site->truncated) rf_buffer_text(out, "(truncated);");
  for (size_t i = site->depth; i-- > 0;) {
    size_t count;
    const struct rf_report_symbol *symbol = rf_symbols_of(report, &site->frame[i], &count);
    while (count-- > 0) {
      add_frame(out, symbol[count].function);
      if (i || count) rf_buffer_char(out, ';');
    }
  }
  if (!site->depth) rf_buffer_text(out, site->others ? "(further sites)" : "(unknown)");
}

void rf_folded_report(struct rf_buffer *out, struct rf_report *const *reports, size_t count) {
  for (size_t r = 0; r < count; r++)
    for (size_t i = 0; i < reports[r]->heap.sites; i++) {
      const struct rf_report_site *site = &reports[r]->heap.site[i];
      if (!(site->alloc_bytes >= 1)) continue;
      add_stack(out, reports[r], site);
      rf_buffer_printf(out, " %.0f\n", site->alloc_bytes);
    }
}
