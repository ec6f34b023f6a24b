/*
 * Behind refunc.h: what an app in the same process asks of Refunc. One table of functions is handed out,
 * once; each is described in refunc.h. All keep errno.
 *
 *   api.c         the table
 *   blocks.c      REFUNC_TIMER: named blocks, timed like functions
 *   profiler.c    statistics that the app starts and resets
 *   monitor.c     one block's time, heap, system figures and validations; summary.c its line
 *   statistics.c  merged over threads while they run
 *   memory.c      memory now, and the alert; leaks.c growth over time; facts.c the machine
 *
 * Structs that the app hands in begin with their size as it was when the app was compiled: of newer ones only
 * that much is filled.
 */
#pragma once

#define REFUNC_IMPLEMENTATION
#include "refunc.h"

/* The table; NULL where this process is not recorded. */
const struct refunc_api *rf_api(void);

struct refunc_running rf_api_timer_begin(struct refunc_site *site);
void rf_api_timer_end(struct refunc_site *site, struct refunc_running running);
int rf_api_monitor_begin(struct refunc_monitor *monitor, const char *name,
                         const struct refunc_config *config);
int rf_api_monitor_validate(struct refunc_monitor *monitor, const char *validator,
                            const struct refunc_value *value);
int rf_api_monitor_end(struct refunc_monitor *monitor, struct refunc_result *result);
int rf_api_result_json(const struct refunc_result *result, char *text, size_t bytes);
int rf_api_timing_summary(const char *name, const struct refunc_timing_stats *stats, char *text,
                          size_t bytes);
int rf_api_visit_timing_stats(refunc_timing_visitor *visitor, void *user);
int rf_api_result_summary(const struct refunc_result *result, char *text, size_t bytes);
int rf_api_async_begin(const char *name, uint64_t key);
int rf_api_async_end(const char *name, uint64_t key);
int rf_api_profiler_start(struct refunc_profiler *profiler);
int rf_api_profiler_stop(struct refunc_profiler *profiler);
int rf_api_profiler_reset(struct refunc_profiler *profiler);
int rf_api_profiler_report(struct refunc_profiler *profiler, struct refunc_timing_stats *stats);
void rf_api_profiler_free(struct refunc_profiler *profiler);
int rf_api_get_timing_stats(const char *name, struct refunc_timing_stats *stats);
int rf_api_clear_timing_stats(const char *name);
int rf_api_has_regressed(const char *name, double baseline_s, double tolerance);
int rf_api_on_memory_alert(uint64_t bytes, refunc_alert *callback, void *user);
int rf_api_get_memory(struct refunc_memory *memory);
int rf_api_leak_baseline(void);
int rf_api_leak_sample(void);
int rf_api_leak_check(uint64_t threshold_bytes, struct refunc_leak_report *report);
int rf_api_get_system_info(struct refunc_system_info *info);
int rf_api_register_validator(const char *name, refunc_validator *function, void *user);

/* Copies as much of a struct as the app's has room for. to begins with its size; 0: nothing fits. */
static inline void rf_api_fill(void *to, const void *from, size_t size) {
  size_t theirs = *(const size_t *)to;
  size_t bytes = theirs < size ? theirs : size;
  if (bytes <= sizeof theirs) return;
  __builtin_memcpy((char *)to + sizeof theirs, (const char *)from + sizeof theirs, bytes - sizeof theirs);
}
