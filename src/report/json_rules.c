/* violations[], spans[] and functions[].kept of the JSON report. */
#include <stdlib.h>
#include <string.h>

#include "report/json_parts.h"
#include "report/symbolize.h"

static void put_frames(struct rf_json *json, const struct rf_report *report,
                       const struct rf_report_call *call) {
  char text[2048];
  rf_json_open_flat(json, "stack", '[');
  for (size_t i = 0; i < call->depth; i++) {
    size_t count;
    const struct rf_report_symbol *symbol = rf_symbols_of(report, &call->frame[i], &count);
    for (size_t k = 0; k < count; k++)
      rf_json_text(json, NULL, rf_symbol_text(text, sizeof text, &symbol[k]));
  }
  rf_json_close(json, ']');
}

/* A number where it is one that JSON has, else words. */
static void put_value(struct rf_json *json, const char *value) {
  char *end;
  double number = strtod(value, &end);
  bool plain = *value && !*end && isfinite(number) && strncmp(value, "0x", 2) != 0;
  if (plain)
    rf_json_number(json, "value", number);
  else
    rf_json_text(json, "value", value);
}

void rf_json_kept(struct rf_json *json, const struct rf_report *report, const struct rf_report_function *f) {
  rf_json_open(json, "kept", '[');
  for (size_t i = 0; i < f->kepts; i++) {
    const struct rf_report_call *call = &f->kept[i];
    rf_json_open_flat(json, NULL, '{');
    rf_json_number(json, "time_s", call->time_s);
    rf_json_count(json, "thread", call->thread);
    rf_json_number(json, "duration_s", call->duration_s);
    rf_json_text(json, "args", call->args);
    put_frames(json, report, call);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_example(struct rf_json *json, const struct rf_report *report,
                        const struct rf_report_call *call) {
  rf_json_open_flat(json, NULL, '{');
  rf_json_number(json, "time_s", call->time_s);
  rf_json_count(json, "thread", call->thread);
  put_value(json, call->value);
  if (*call->message) rf_json_text(json, "message", call->message);
  if (call->has_index)
    rf_json_count(json, "index", call->index);
  else
    rf_json_number(json, "index", NAN);
  put_frames(json, report, call);
  rf_json_close(json, '}');
}

void rf_json_violations(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "violations", '[');
  for (size_t i = 0; i < report->violations; i++) {
    const struct rf_report_violation *v = &report->violation[i];
    rf_json_open(json, NULL, '{');
    rf_json_text(json, "function", v->function);
    rf_json_text(json, "parameter", v->parameter);
    rf_json_text(json, "rule", v->rule);
    rf_json_count(json, "count", v->count);
    rf_json_count(json, "unchecked", v->unchecked);
    rf_json_open(json, "examples", '[');
    for (size_t k = 0; k < v->examples; k++) put_example(json, report, &v->example[k]);
    rf_json_close(json, ']');
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

void rf_json_span(struct rf_json *json, const struct rf_report_span *span) {
  rf_json_text(json, "begin", span->begin);
  rf_json_text(json, "end", span->end);
  rf_json_count(json, "in_flight_max", span->in_flight_max);
  rf_json_count(json, "duplicate_keys", span->duplicate_keys);
  rf_json_count(json, "unmatched_ends", span->unmatched_ends);
  rf_json_count(json, "dropped", span->dropped);
}
