/* The document, in the schema's order; its parts: json_parts.h. */
#include "report/json.h"

#include <math.h>
#include <stdio.h>

#include "report/json_parts.h"

void rf_json_put(const struct rf_json_scope *scope, const char *key, double value) {
  rf_json_number(scope->json, key, value);
  if (isfinite(value)) return;
  char path[160];
  snprintf(path, sizeof path, "%s%s%s", scope->path, *scope->path ? "." : "", key);
  if (!rf_report_reason(scope->report, path)) rf_report_unavailable(scope->report, path, scope->reason);
}

void rf_json_put_null(const struct rf_json_scope *scope, const char *key) { rf_json_put(scope, key, NAN); }

static void put_self(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_self *self = &report->self;
  struct rf_json_scope scope = {json, report, "self", "not recorded"};
  struct rf_json_scope dropped = {json, report, "self.dropped", "not recorded"};
  rf_json_open(json, "self", '{');
  rf_json_put(&scope, "probe_cost_s", self->probe_cost_s);
  rf_json_put(&scope, "clock_cost_s", self->clock_cost_s);
  rf_json_put(&scope, "overhead_s", self->overhead_s);
  rf_json_put(&scope, "memory_bytes", self->memory_bytes);
  rf_json_open_flat(json, "dropped", '{');
  rf_json_put(&dropped, "calls", self->dropped_calls);
  rf_json_put(&dropped, "functions", self->dropped_functions);
  rf_json_put(&dropped, "samples", self->dropped_samples);
  rf_json_put(&dropped, "sites", self->dropped_sites);
  rf_json_close(json, '}');
  rf_json_put(&scope, "probes_s", self->probes_s);
  rf_json_put(&scope, "counting_s", self->counting_s);
  rf_json_put(&scope, "rules_s", self->rules_s);
  rf_json_put(&scope, "per_function_s", self->measured_s);
  rf_json_put(&scope, "sampler_s", self->sampler_s);
  rf_json_put(&scope, "start_s", self->start_s);
  rf_json_close(json, '}');
}

static void put_unavailable(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "unavailable", '{');
  for (size_t i = 0; i < report->unavailables; i++)
    rf_json_text(json, report->unavailable[i].path, report->unavailable[i].reason);
  rf_json_close(json, '}');
}

void rf_json_report(struct rf_buffer *out, struct rf_report *report) {
  struct rf_json json = {.out = out};
  rf_json_open(&json, NULL, '{');
  rf_json_text(&json, "schema", "refunc-report/1");
  rf_json_environment(&json, report);
  rf_json_processes(&json, report);
  rf_json_options(&json, report);
  rf_json_functions(&json, report);
  rf_json_skipped(&json, report);
  rf_json_unmatched(&json, report);
  rf_json_heap(&json, report);
  rf_json_system(&json, report);
  rf_json_spans(&json, report);
  rf_json_violations(&json, report);
  put_self(&json, report);
  put_unavailable(&json, report);
  rf_json_close(&json, '}');
  rf_buffer_char(out, '\n');
}
