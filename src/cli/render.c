/* See render.h. */
#include "cli/render.h"

#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "report/csv.h"
#include "report/folded.h"
#include "report/json.h"
#include "report/openmetrics.h"
#include "report/pprof.h"
#include "report/text.h"

static const char *const names[RF_FORMATS] = {"text", "json", "csv", "openmetrics", "folded", "pprof"};

enum rf_format rf_format_named(const char *name) {
  for (int i = 0; i < RF_FORMATS; i++)
    if (strcmp(name, names[i]) == 0) return (enum rf_format)i;
  rf_fail(
      0,
      "format %s is not available in this version; there are text, json, csv, openmetrics, folded and pprof",
      name);
  return RF_FORMAT_UNKNOWN;
}

static void render_texts(struct rf_buffer *out, struct rf_report *const *reports, size_t count,
                         const struct rf_style *style, size_t rows) {
  const struct rf_text_plan plan = {.style = *style, .functions = rows};
  for (size_t i = 0; i < count; i++) {
    if (i) rf_buffer_char(out, '\n');
    rf_text_report(out, reports[i], &plan);
  }
}

/* One document: the report itself, or an array of them. */
static void render_json(struct rf_buffer *out, struct rf_report *const *reports, size_t count) {
  if (count > 1) rf_buffer_text(out, "[\n");
  for (size_t i = 0; i < count; i++) {
    if (i) rf_buffer_text(out, ",\n");
    rf_json_report(out, reports[i]);
  }
  if (count > 1) rf_buffer_text(out, "]\n");
}

void rf_render(struct rf_buffer *out, struct rf_report *const *reports, size_t count, enum rf_format format,
               const struct rf_style *style, size_t rows) {
  switch (format) {
  case RF_FORMAT_JSON: render_json(out, reports, count); break;
  case RF_FORMAT_OPENMETRICS: rf_openmetrics_report(out, reports, count); break;
  case RF_FORMAT_FOLDED: rf_folded_report(out, reports, count); break;
  case RF_FORMAT_PPROF:
    for (size_t i = 0; i < count; i++) rf_pprof_report(out, reports[i]);
    break;
  case RF_FORMAT_CSV:
    for (size_t i = 0; i < count; i++) rf_csv_report(out, reports[i], i == 0);
    break;
  default: render_texts(out, reports, count, style, rows);
  }
}

struct rf_style rf_style_of(int fd, bool marked) {
  struct rf_style style = rf_style_for(fd, rf_variable("TERM"), rf_variable("NO_COLOR"));
  if (marked && !isatty(fd)) style.width -= (int)strlen("refunc: ");
  return style;
}

static bool ends_with(const char *text, const char *ending) {
  size_t length = strlen(text), wanted = strlen(ending);
  return length >= wanted && strcmp(text + length - wanted, ending) == 0;
}

bool rf_deliver(struct rf_report *report, const char *target, int stderr_fd) {
  struct rf_buffer out = {0};
  bool to_stderr = strcmp(target, "stderr") == 0;
  struct rf_style style =
      to_stderr ? rf_style_of(stderr_fd, true) : (struct rf_style){.unicode = true, .width = 100};
  if (strcmp(target, "none") == 0) return true;
  rf_render(&out, &report, 1, ends_with(target, ".json") ? RF_FORMAT_JSON : RF_FORMAT_TEXT, &style,
            to_stderr ? RF_ROWS : 0);
  bool done = to_stderr ? rf_write_marked(stderr_fd, "refunc: ", out.bytes, out.length, 5000)
                        : rf_write_file(target, out.bytes, out.length);
  rf_buffer_free(&out);
  return done;
}
