/*
 * The text report as a whole:
 *
 *   what ran, where                    (header)
 *   functions by total time            (text_functions.c)
 *   CPU, memory, heap, disk, network   (text_resources.c)
 *   what is not timed, and why
 *   what Refunc itself cost
 */
#include "report/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/text_parts.h"

/* --- lines that flow --- */

struct rf_flow rf_flow_begin(struct rf_buffer *out, const char *label, const struct rf_style *style) {
  rf_buffer_char(out, ' ');
  rf_add_colour(out, RF_BOLD, style);
  rf_add_padded(out, label, RF_LABEL_COLUMNS - 1, false, style);
  rf_add_colour(out, RF_PLAIN, style);
  return (struct rf_flow){
      .out = out, .style = style, .column = RF_LABEL_COLUMNS, .indent = RF_LABEL_COLUMNS, .fresh = true};
}

static void flow_text(struct rf_flow *flow, const char *text) {
  const char *separator = flow->style->unicode ? " \u00b7 " : " | ";
  size_t columns = rf_text_columns(text, flow->style), width = (size_t)flow->style->width;
  if (!flow->fresh && flow->column + 3 + columns > width) {
    rf_buffer_char(flow->out, '\n');
    rf_buffer_repeat(flow->out, " ", flow->indent);
    flow->column = flow->indent;
    flow->fresh = true;
  }
  if (!flow->fresh) {
    rf_add_colour(flow->out, RF_DIM, flow->style);
    rf_buffer_text(flow->out, separator);
    rf_add_colour(flow->out, RF_PLAIN, flow->style);
    flow->column += 3;
  }
  flow->column += rf_add_text(flow->out, text, width - flow->column, flow->style);
  flow->fresh = false;
}

void rf_flow_item(struct rf_flow *flow, const char *format, ...) {
  char text[512];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  flow_text(flow, text);
}

void rf_flow_end(struct rf_flow *flow) { rf_buffer_char(flow->out, '\n'); }

/* --- header --- */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void add_command(struct rf_buffer *line, const struct rf_report_process *process) {
  rf_buffer_text(line, base_name(*process->exe ? process->exe : process->argc ? process->argv[0] : "?"));
  for (size_t i = 1; i < process->argc; i++) {
    rf_buffer_char(line, ' ');
    rf_buffer_text(line, process->argv[i]);
  }
}

static const char *signal_name(int number) {
  const char *name = sigabbrev_np(number);
  return name ? name : "?";
}

static void add_end(struct rf_flow *flow, const struct rf_report_process *p) {
  const char *took = rf_show_duration(p->duration_s, flow->style);
  if (strcmp(p->exit_kind, "exited") == 0)
    rf_flow_item(flow, "exit %.0f after %s", p->exit_code, took);
  else if (strcmp(p->exit_kind, "signaled") == 0)
    rf_flow_item(flow, "killed by SIG%s after %s", signal_name((int)p->exit_code), took);
  else if (strcmp(p->exit_kind, "running") == 0)
    rf_flow_item(flow, "running for %s", took);
  else if (strcmp(p->exit_kind, "execed") == 0)
    rf_flow_item(flow, "replaced by exec after %s", took);
  else
    rf_flow_item(flow, "ended without a word after %s", took);
}

/* The vendor's name for it without marks, filler words and the nominal frequency. */
static void add_cpu_model(struct rf_flow *flow, const char *model) {
  static const char *const filler[] = {"(R)", "(TM)", "(tm)", " CPU", " Processor"};
  struct rf_buffer name = {0};
  rf_buffer_text(&name, "");
  for (const char *at = model; *at && strncmp(at, " @ ", 3) != 0;) {
    size_t skip = 0;
    for (size_t i = 0; i < sizeof filler / sizeof *filler && !skip; i++)
      if (strncmp(at, filler[i], strlen(filler[i])) == 0) skip = strlen(filler[i]);
    if (!skip) rf_buffer_char(&name, *at);
    at += skip ? skip : 1;
  }
  if (name.length) flow_text(flow, name.bytes);
  rf_buffer_free(&name);
}

static size_t others_running(const struct rf_report *report) {
  size_t count = 0;
  for (size_t i = 1; i < report->processes; i++) count += report->process[i].alive;
  return count;
}

/* What ran and how it ended; on what machine. */
static void add_header(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_process *root = &report->process[0];
  struct rf_buffer command = {0};
  add_command(&command, root);
  rf_buffer_char(out, ' ');
  rf_add_colour(out, RF_BOLD, style);
  rf_add_text(out, command.bytes, (size_t)style->width - 1, style);
  rf_add_colour(out, RF_PLAIN, style);
  rf_buffer_text(out, "\n ");
  rf_buffer_free(&command);
  struct rf_flow flow = {.out = out, .style = style, .column = 1, .indent = 1, .fresh = true};
  add_end(&flow, root);
  if (report->processes > 1) rf_flow_item(&flow, "%zu processes", report->processes);
  size_t running = others_running(report);
  if (running) rf_flow_item(&flow, "%zu of them still running", running);
  if (root->threads_max > 1) rf_flow_item(&flow, "%.0f threads", root->threads_max);
  rf_flow_end(&flow);
  rf_buffer_char(out, ' ');
  flow = (struct rf_flow){.out = out, .style = style, .column = 1, .indent = 1, .fresh = true};
  add_cpu_model(&flow, report->cpu_model);
  if (report->cpu_count > 0)
    rf_flow_item(&flow, "%.0f CPU%s", report->cpu_count, report->cpu_count > 1 ? "s" : "");
  if (report->cpu_limit > 0 && !(report->cpu_limit >= report->cpu_count))
    rf_flow_item(&flow, "limited to %.3g of them", report->cpu_limit);
  if (*report->cpu_governor && strcmp(report->cpu_governor, "performance") != 0)
    rf_flow_item(&flow, "governor %s", report->cpu_governor);
  if (report->memory_bytes > 0) rf_flow_item(&flow, "%s", rf_show_bytes(report->memory_bytes));
  if (*report->kernel) flow_text(&flow, report->kernel);
  if (*report->hostname) flow_text(&flow, report->hostname);
  rf_flow_end(&flow);
}

/* --- what is not timed --- */

static int by_reason(const void *left, const void *right) {
  const struct rf_report_skipped *a = *(const struct rf_report_skipped *const *)left;
  const struct rf_report_skipped *b = *(const struct rf_report_skipped *const *)right;
  int reasons = strcmp(a->reason, b->reason);
  return reasons ? reasons : strcmp(a->name, b->name);
}

/* One line a reason: how many, the reason, and as many names as fit. */
static void add_skipped_group(struct rf_buffer *out, const struct rf_report_skipped **group, size_t count,
                              const struct rf_style *style) {
  struct rf_buffer line = {0};
  rf_buffer_printf(&line, "%s: ", *group[0]->reason ? group[0]->reason : "no reason given");
  size_t width = (size_t)style->width - RF_LABEL_COLUMNS - 7;
  size_t named = 0;
  for (; named < count; named++) {
    if (named && rf_text_columns(line.bytes, style) + rf_text_columns(group[named]->name, style) + 11 > width)
      break;
    rf_buffer_printf(&line, "%s%s", named ? ", " : "", group[named]->name);
  }
  if (named < count) rf_buffer_printf(&line, ", %zu more", count - named);
  rf_add_text(out, line.bytes, width, style);
  rf_buffer_char(out, '\n');
  rf_buffer_free(&line);
}

static void add_skipped(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  if (!report->skips) return;
  const struct rf_report_skipped **list = malloc(report->skips * sizeof *list);
  if (!list) return;
  for (size_t i = 0; i < report->skips; i++) list[i] = &report->skipped[i];
  qsort(list, report->skips, sizeof *list, by_reason);
  for (size_t i = 0, end; i < report->skips; i = end) {
    for (end = i + 1; end < report->skips && strcmp(list[end]->reason, list[i]->reason) == 0;) end++;
    rf_flow_begin(out, i ? "" : "SKIPPED", style);
    rf_buffer_printf(out, "%5zu  ", end - i);
    add_skipped_group(out, list + i, end - i, style);
  }
  free(list);
}

static void add_nearest(struct rf_buffer *line, const char *nearest) {
  if (!*nearest) return;
  rf_buffer_text(line, "; did you mean ");
  for (const char *at = nearest; *at;) {
    size_t length = strcspn(at, "\n");
    rf_buffer_add(line, at, length);
    at += length + (at[length] == '\n');
    if (*at) rf_buffer_text(line, strchr(at, '\n') ? ", " : " or ");
  }
  rf_buffer_char(line, '?');
}

static void add_unmatched(struct rf_buffer *out, const struct rf_report *report,
                          const struct rf_style *style) {
  for (size_t i = 0; i < report->unmatches; i++) {
    const struct rf_report_unmatched *u = &report->unmatched[i];
    struct rf_buffer line = {0};
    bool plain = !*u->reason || strcmp(u->reason, "none") == 0;
    rf_buffer_printf(&line, "%s: %s", u->pattern, plain ? "no function has this name" : u->reason);
    add_nearest(&line, u->nearest);
    rf_flow_begin(out, i ? "" : "NO MATCH", style);
    rf_buffer_text(out, " ");
    rf_add_colour(out, RF_WARN, style);
    rf_add_text(out, line.bytes, (size_t)style->width - RF_LABEL_COLUMNS - 1, style);
    rf_add_colour(out, RF_PLAIN, style);
    rf_buffer_char(out, '\n');
    rf_buffer_free(&line);
  }
}

/* --- Refunc's own cost --- */

#define SHARE_TELLS_S 0.1 /* of shorter runs the start alone is a large and meaningless share */

static void add_dropped(struct rf_flow *flow, double count, const char *what) {
  if (count > 0) rf_flow_item(flow, "%s %s dropped", rf_show_count(count), what);
}

/* Cost is stated as a share of all processes' time. */
static double whole_time(const struct rf_report *report) {
  double sum = 0;
  for (size_t i = 0; i < report->processes; i++) sum = rf_add_known(sum, report->process[i].duration_s);
  return sum;
}

static void add_self(struct rf_buffer *out, const struct rf_report *report, const struct rf_style *style) {
  const struct rf_report_self *self = &report->self;
  struct rf_flow flow = rf_flow_begin(out, "REFUNC", style);
  rf_buffer_char(out, ' ');
  flow.column++;
  flow.indent++;
  double run = whole_time(report);
  bool part = report->sampled && isnan(self->counting_s) && rf_report_reason(report, "self.counting_s");
  const char *least = part ? "at least " : "";
  if (self->overhead_s >= 0 && run >= SHARE_TELLS_S)
    rf_flow_item(&flow, "cost %s%s, %s of the run", least, rf_show_duration(self->overhead_s, style),
                 rf_show_ratio(self->overhead_s / run));
  else if (self->overhead_s >= 0)
    rf_flow_item(&flow, "cost %s%s", least, rf_show_duration(self->overhead_s, style));
  if (self->probes_s > 0)
    rf_flow_item(&flow, "timing %s at %s a call", rf_show_duration(self->probes_s, style),
                 rf_show_duration(self->probe_cost_s, style));
  if (self->counting_s > 0) rf_flow_item(&flow, "counting %s", rf_show_duration(self->counting_s, style));
  if (part) rf_flow_item(&flow, "counting not measured: hundreds of functions take turns");
  if (self->rules_s > 0) rf_flow_item(&flow, "rules %s", rf_show_duration(self->rules_s, style));
  if (self->measured_s > 0)
    rf_flow_item(&flow, "heap and system by function %s", rf_show_duration(self->measured_s, style));
  if (self->sampler_s > 0) rf_flow_item(&flow, "sampling %s", rf_show_duration(self->sampler_s, style));
  if (self->start_s > 0) rf_flow_item(&flow, "start %s", rf_show_duration(self->start_s, style));
  if (self->memory_bytes > 0) rf_flow_item(&flow, "%s of memory", rf_show_bytes(self->memory_bytes));
  add_dropped(&flow, self->dropped_calls, "calls");
  add_dropped(&flow, self->dropped_functions, "functions");
  add_dropped(&flow, self->dropped_samples, "samples");
  add_dropped(&flow, self->dropped_sites, "allocation sites");
  if (flow.fresh) rf_flow_item(&flow, "%s", "its own cost is not known");
  rf_flow_end(&flow);
}

void rf_text_report(struct rf_buffer *out, const struct rf_report *report, const struct rf_text_plan *plan) {
  const struct rf_style *style = &plan->style;
  add_header(out, report, style);
  rf_buffer_char(out, '\n');
  rf_text_functions(out, report, plan);
  rf_text_per_function(out, report, plan);
  rf_text_rules(out, report, style);
  rf_text_resources(out, report, style);
  rf_text_sites(out, report, style);
  if (report->skips || report->unmatches) rf_buffer_char(out, '\n');
  add_skipped(out, report, style);
  add_unmatched(out, report, style);
  rf_buffer_char(out, '\n');
  add_self(out, report, style);
}
