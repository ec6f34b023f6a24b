/* See api.h. */
#include "api/api.h"

#include <errno.h>

#include "arch/arch.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "validate/spans.h"

/* ---- async spans: those of the rules' engine, which also joins functions ---- */

int rf_api_async_begin(const char *name, uint64_t key) {
  struct rf_span *span = name && rf_thread_get() ? rf_span_named(name) : NULL;
  if (!span) return -ENOMEM;
  rf_span_begin(span, key, rf_cycles());
  return 0;
}

int rf_api_async_end(const char *name, uint64_t key) {
  uint64_t now = rf_cycles();
  struct rf_span *span = name && rf_thread_get() ? rf_span_named(name) : NULL;
  if (!span) return -ENOMEM;
  return rf_span_end(span, key, now) ? 0 : -ENOENT;
}

static const struct refunc_api table = {
    .size = sizeof table,
    .timer_begin = rf_api_timer_begin,
    .timer_end = rf_api_timer_end,
    .monitor_begin = rf_api_monitor_begin,
    .monitor_validate = rf_api_monitor_validate,
    .monitor_end = rf_api_monitor_end,
    .result_summary = rf_api_result_summary,
    .async_begin = rf_api_async_begin,
    .async_end = rf_api_async_end,
    .profiler_start = rf_api_profiler_start,
    .profiler_stop = rf_api_profiler_stop,
    .profiler_reset = rf_api_profiler_reset,
    .profiler_report = rf_api_profiler_report,
    .profiler_free = rf_api_profiler_free,
    .get_timing_stats = rf_api_get_timing_stats,
    .clear_timing_stats = rf_api_clear_timing_stats,
    .on_memory_alert = rf_api_on_memory_alert,
    .get_memory = rf_api_get_memory,
    .leak_baseline = rf_api_leak_baseline,
    .leak_sample = rf_api_leak_sample,
    .leak_check = rf_api_leak_check,
    .get_system_info = rf_api_get_system_info,
    .register_validator = rf_api_register_validator,
    .has_regressed = rf_api_has_regressed,
    .result_json = rf_api_result_json,
    .timing_summary = rf_api_timing_summary,
    .visit_timing_stats = rf_api_visit_timing_stats,
};

const struct refunc_api *rf_api(void) { return rf_recording_header() ? &table : NULL; }
