/* A comparison for people (text, Markdown) and for machines (JSON, JUnit). */
#include <stdio.h>
#include <string.h>

#include "report/compare.h"
#include "report/json_writer.h"

static bool is_bytes(const struct rf_compared *row) { return strstr(row->metric, "bytes") != NULL; }

static const char *show_value(const struct rf_compared *row, double value, const struct rf_style *style) {
  return is_bytes(row) ? rf_show_bytes(value) : rf_show_duration(value, style);
}

static const char *metric_name(const struct rf_compared *row) {
  return strcmp(row->metric, "mean_s") == 0  ? "mean"
         : strcmp(row->metric, "p95_s") == 0 ? "p95"
                                             : "heap peak";
}

static const char *change_name(enum rf_change change) {
  return change == RF_REGRESSED ? "regressed" : change == RF_IMPROVED ? "improved" : "same";
}

static void show_ratio(char *out, size_t size, double ratio) {
  if (isnan(ratio))
    snprintf(out, size, "new");
  else if (ratio >= 9.995)
    snprintf(out, size, "x%.3g", ratio + 1);
  else
    snprintf(out, size, "%+.1f%%", ratio * 100);
}

/* --- text --- */

static void add_note(struct rf_buffer *out, const struct rf_compared *row, const struct rf_style *style) {
  const char *notes[3];
  size_t n = 0;
  if (row->change == RF_REGRESSED) notes[n++] = "REGRESSED";
  if (row->change == RF_IMPROVED) notes[n++] = "improved";
  if (row->change != RF_SAME && row->weak) notes[n++] = "few calls";
  if (row->change != RF_SAME && row->overlaps && row->base.runs + row->fresh.runs > 2)
    notes[n++] = "overlaps";
  rf_add_colour(out,
                row->change == RF_REGRESSED  ? RF_BAD
                : row->change == RF_IMPROVED ? RF_GOOD
                                             : RF_PLAIN,
                style);
  for (size_t i = 0; i < n; i++) rf_buffer_printf(out, "%s%s", i ? ", " : "", notes[i]);
  if (row->change != RF_SAME) rf_add_colour(out, RF_PLAIN, style);
}

/* The median, and where there are several runs half their range as a share of it. */
static void add_side(struct rf_buffer *out, const struct rf_compared *row, const struct rf_side *side,
                     bool ranges, const struct rf_style *style) {
  char text[64];
  snprintf(text, sizeof text, "%s", show_value(row, side->median, style));
  rf_buffer_char(out, ' ');
  rf_add_padded(out, text, 8, true, style);
  if (!ranges) return;
  double spread = side->median > 0 ? (side->max - side->min) / 2 / side->median : 0;
  snprintf(text, sizeof text, "%s%s", style->unicode ? "\u00b1" : "+-", rf_show_ratio(spread));
  rf_buffer_char(out, ' ');
  rf_add_padded(out, side->runs > 1 ? text : "", 6, false, style);
}

static void add_text_row(struct rf_buffer *out, const struct rf_compared *row, size_t name, bool ranges,
                         const struct rf_style *style) {
  char ratio[32];
  show_ratio(ratio, sizeof ratio, row->ratio);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, row->function ? row->function : "(process)", name, false, style);
  rf_buffer_printf(out, " %-9s", metric_name(row));
  add_side(out, row, &row->base, ranges, style);
  add_side(out, row, &row->fresh, ranges, style);
  rf_buffer_printf(out, " %8s ", ratio);
  add_note(out, row, style);
  while (out->length && out->bytes[out->length - 1] == ' ') out->bytes[--out->length] = 0;
  rf_buffer_char(out, '\n');
}

static void add_singles(struct rf_buffer *out, const char *what, const struct rf_report_skipped *list,
                        size_t count, const struct rf_style *style) {
  if (!count) return;
  struct rf_buffer line = {0};
  rf_buffer_printf(&line, "%s: ", what);
  for (size_t i = 0; i < count; i++) {
    if (i && rf_text_columns(line.bytes, style) + rf_text_columns(list[i].name, style) + 14 >
                 (size_t)style->width) {
      rf_buffer_printf(&line, ", %zu more", count - i);
      break;
    }
    rf_buffer_printf(&line, "%s%s", i ? ", " : "", list[i].name);
  }
  rf_buffer_char(out, ' ');
  rf_add_text(out, line.bytes, (size_t)style->width - 1, style);
  rf_buffer_char(out, '\n');
  rf_buffer_free(&line);
}

/* A line each: what differs between the machines. */
static void add_differences(struct rf_buffer *out, const struct rf_comparison *c,
                            const struct rf_style *style) {
  for (size_t i = 0; i < c->differences; i++) {
    const struct rf_difference *d = &c->difference[i];
    struct rf_buffer line = {0};
    rf_buffer_printf(&line, "%s: %s in BASE, %s in NEW", d->key, d->base, d->fresh);
    rf_buffer_text(out, i ? " " : "\n the machines differ:\n ");
    rf_buffer_text(out, "  ");
    rf_add_text(out, line.bytes, (size_t)style->width - 3, style);
    rf_buffer_char(out, '\n');
    rf_buffer_free(&line);
  }
}

static size_t name_columns(const struct rf_comparison *c, bool ranges, const struct rf_style *style) {
  size_t most = (size_t)style->width - (ranges ? 75 : 61), longest = 9;
  for (size_t i = 0; i < c->rows; i++) {
    size_t columns = c->row[i].function ? rf_text_columns(c->row[i].function, style) : 9;
    longest = columns > longest ? columns : longest;
  }
  return longest < most ? longest : most;
}

void rf_comparison_text(struct rf_buffer *out, const struct rf_comparison *c, const struct rf_style *style) {
  bool ranges = c->base_runs > 1 || c->fresh_runs > 1;
  size_t name = name_columns(c, ranges, style), gap = ranges ? 7 : 0;
  rf_add_colour(out, RF_BOLD, style);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, "FUNCTION", name, false, style);
  rf_buffer_printf(out, " METRIC        BASE%*s      NEW%*s   CHANGE", (int)gap, "", (int)gap, "");
  rf_add_colour(out, RF_PLAIN, style);
  rf_buffer_char(out, '\n');
  for (size_t i = 0; i < c->rows; i++) add_text_row(out, &c->row[i], name, ranges, style);
  add_singles(out, "only in BASE", c->only_base, c->only_bases, style);
  add_singles(out, "only in NEW", c->only_fresh, c->only_freshes, style);
  rf_buffer_printf(out, "\n %zu regressed, %zu improved (tolerance %.3g%%), of %zu functions in both%s\n",
                   c->regressed, c->improved, c->tolerance * 100, c->common,
                   ranges ? "; medians, and half the runs' range" : "");
  add_differences(out, c, style);
}

/* --- JSON --- */

static void put_side(struct rf_json *json, const char *key, const struct rf_side *side) {
  rf_json_open_flat(json, key, '{');
  rf_json_number(json, "median", side->median);
  rf_json_number(json, "min", side->min);
  rf_json_number(json, "max", side->max);
  rf_json_count(json, "runs", side->runs);
  rf_json_count(json, "calls", side->calls);
  rf_json_close(json, '}');
}

static void put_singles(struct rf_json *json, const char *key, const struct rf_report_skipped *list,
                        size_t count) {
  rf_json_open(json, key, '[');
  for (size_t i = 0; i < count; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "name", list[i].name);
    rf_json_text(json, "module", list[i].module);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_row(struct rf_json *json, const struct rf_compared *row) {
  rf_json_open(json, NULL, '{');
  if (row->function) {
    rf_json_text(json, "function", row->function);
    rf_json_text(json, "module", row->module);
  }
  rf_json_text(json, "metric", row->metric);
  put_side(json, "base", &row->base);
  put_side(json, "new", &row->fresh);
  rf_json_number(json, "change_ratio", row->ratio);
  rf_json_text(json, "verdict", change_name(row->change));
  rf_json_bool(json, "weak", row->weak);
  rf_json_bool(json, "overlaps", row->overlaps);
  rf_json_close(json, '}');
}

void rf_comparison_json(struct rf_buffer *out, const struct rf_comparison *c) {
  struct rf_json json = {.out = out};
  rf_json_open(&json, NULL, '{');
  rf_json_text(&json, "schema", "refunc-compare/1");
  rf_json_number(&json, "tolerance_ratio", c->tolerance);
  rf_json_count(&json, "regressed", c->regressed);
  rf_json_count(&json, "improved", c->improved);
  rf_json_open(&json, "compared", '[');
  for (size_t i = 0; i < c->rows; i++) put_row(&json, &c->row[i]);
  rf_json_close(&json, ']');
  put_singles(&json, "only_base", c->only_base, c->only_bases);
  put_singles(&json, "only_new", c->only_fresh, c->only_freshes);
  rf_json_open(&json, "machine_differences", '[');
  for (size_t i = 0; i < c->differences; i++) {
    rf_json_open_flat(&json, NULL, '{');
    rf_json_text(&json, "key", c->difference[i].key);
    rf_json_text(&json, "base", c->difference[i].base);
    rf_json_text(&json, "new", c->difference[i].fresh);
    rf_json_close(&json, '}');
  }
  rf_json_close(&json, ']');
  rf_json_close(&json, '}');
  rf_buffer_char(out, '\n');
}

/* --- Markdown: names could be anything, so what Markdown or HTML would take for markup is escaped --- */

static void add_markdown_text(struct rf_buffer *out, const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < 0x20 || c == 0x7f)
      rf_buffer_printf(out, "\\\\x%02x", c);
    else if (c == '<' || c == '>' || c == '&')
      rf_buffer_printf(out, "&#%d;", c);
    else if (strchr("\\`*_{}[]()#+!|~", c))
      rf_buffer_printf(out, "\\%c", c);
    else
      rf_buffer_char(out, (char)c);
  }
}

void rf_comparison_markdown(struct rf_buffer *out, const struct rf_comparison *c) {
  const struct rf_style style = {.unicode = true, .width = 100};
  rf_buffer_printf(out, "**%zu regressed**, %zu improved (tolerance %.3g%%)\n\n", c->regressed, c->improved,
                   c->tolerance * 100);
  rf_buffer_text(out, "| function | metric | base | new | change | |\n|---|---|---:|---:|---:|---|\n");
  for (size_t i = 0; i < c->rows; i++) {
    const struct rf_compared *row = &c->row[i];
    char ratio[32];
    show_ratio(ratio, sizeof ratio, row->ratio);
    rf_buffer_text(out, "| ");
    add_markdown_text(out, row->function ? row->function : "process");
    rf_buffer_printf(out, " | %s | %s ", metric_name(row), show_value(row, row->base.median, &style));
    rf_buffer_printf(out, "| %s | %s | ", show_value(row, row->fresh.median, &style), ratio);
    add_note(out, row, &style);
    rf_buffer_text(out, " |\n");
  }
  for (size_t i = 0; i < c->differences; i++) {
    const struct rf_difference *d = &c->difference[i];
    const char *const parts[] = {d->key, ": ", d->base, " in base, ", d->fresh, " in new"};
    rf_buffer_text(out, i ? "- " : "\nThe machines differ:\n\n- ");
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++) add_markdown_text(out, parts[k]);
    rf_buffer_char(out, '\n');
  }
}

/* --- JUnit --- */

static void add_xml_text(struct rf_buffer *out, const char *text) {
  const struct rf_style style = {.unicode = false, .width = 100};
  struct rf_buffer plain = {0};
  rf_buffer_text(&plain, "");
  rf_add_text(&plain, text, rf_text_columns(text, &style), &style);
  for (const char *at = plain.bytes; *at; at++) {
    if (strchr("<>&\"'", *at))
      rf_buffer_printf(out, "&#%d;", *at);
    else
      rf_buffer_char(out, *at);
  }
  rf_buffer_free(&plain);
}

static void add_case(struct rf_buffer *out, const struct rf_compared *row) {
  const struct rf_style style = {.unicode = false, .width = 100};
  char ratio[32];
  show_ratio(ratio, sizeof ratio, row->ratio);
  rf_buffer_text(out, "  <testcase classname=\"");
  add_xml_text(out, row->function ? row->function : "process");
  rf_buffer_printf(out, "\" name=\"%s\"", metric_name(row));
  if (row->change != RF_REGRESSED) {
    rf_buffer_text(out, "/>\n");
    return;
  }
  rf_buffer_printf(out, ">\n    <failure message=\"%s to ", show_value(row, row->base.median, &style));
  rf_buffer_printf(out, "%s (%s)\"/>\n  </testcase>\n", show_value(row, row->fresh.median, &style), ratio);
}

void rf_comparison_junit(struct rf_buffer *out, const struct rf_comparison *c) {
  rf_buffer_printf(out,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"refunc compare\" "
                   "tests=\"%zu\" failures=\"%zu\">\n",
                   c->rows, c->regressed);
  for (size_t i = 0; i < c->rows; i++) add_case(out, &c->row[i]);
  rf_buffer_text(out, "</testsuite>\n");
}
