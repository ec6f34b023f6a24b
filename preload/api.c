/* refunc.h's way in: the one symbol that its header looks up, and each function by its own name, for whoever
 * has no C compiler (ctypes, FFI). */
#include <errno.h>

#include "api/api.h"
#include "preload/export.h"

EXPORT const struct refunc_api *refunc_api_v1(void) { return rf_api(); }

/* Without a recording these answer as refunc.h does without the preload. */
#define FORWARD(name, parameters, arguments)                                                                 \
  int refunc_##name parameters;                                                                              \
  EXPORT int refunc_##name parameters { return rf_api() ? rf_api_##name arguments : -ENOSYS; }

FORWARD(monitor_begin,
        (struct refunc_monitor * monitor, const char *name, const struct refunc_config *config),
        (monitor, name, config))
FORWARD(monitor_end, (struct refunc_monitor * monitor, struct refunc_result *result), (monitor, result))
FORWARD(async_begin, (const char *name, uint64_t key), (name, key))
FORWARD(async_end, (const char *name, uint64_t key), (name, key))
FORWARD(profiler_start, (struct refunc_profiler * profiler), (profiler))
FORWARD(profiler_stop, (struct refunc_profiler * profiler), (profiler))
FORWARD(profiler_reset, (struct refunc_profiler * profiler), (profiler))
FORWARD(profiler_report, (struct refunc_profiler * profiler, struct refunc_timing_stats *stats),
        (profiler, stats))
FORWARD(get_timing_stats, (const char *name, struct refunc_timing_stats *stats), (name, stats))
FORWARD(clear_timing_stats, (const char *name), (name))
FORWARD(has_regressed, (const char *name, double baseline_s, double tolerance), (name, baseline_s, tolerance))
FORWARD(on_memory_alert, (uint64_t bytes, refunc_alert *callback, void *user), (bytes, callback, user))
FORWARD(get_memory, (struct refunc_memory * memory), (memory))
FORWARD(leak_baseline, (void), ())
FORWARD(leak_sample, (void), ())
FORWARD(leak_check, (uint64_t threshold_bytes, struct refunc_leak_report *report), (threshold_bytes, report))
FORWARD(get_system_info, (struct refunc_system_info * info), (info))
FORWARD(register_validator, (const char *name, refunc_validator *function, void *user),
        (name, function, user))
FORWARD(result_summary, (const struct refunc_result *result, char *text, size_t bytes), (result, text, bytes))
