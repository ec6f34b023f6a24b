/*
 * refunc.h: what an app can ask of Refunc from inside: named blocks, async spans, profilers, one-shot
 * monitors, statistics while it runs, memory alerts, leak checks, validators.
 *
 * Header only: nothing to link. The same binary runs with and without the preload; without it every call is
 * one predictable branch and answers -ENOSYS (or 0, NULL, false). C11 with GNU extensions (gcc, clang),
 * C++17.
 *
 * Names of blocks are copied and become entries of the report: functions[] with module "refunc.h" for blocks,
 * monitors and profilers, spans[] for async spans. Durations are seconds, sizes bytes. What could not be
 * measured is NaN, or REFUNC_UNKNOWN among integers. Every struct begins with its size, so that it can grow:
 * the functions here fill that in.
 *
 * Functions that may fail answer 0 or a negative errno. Any thread may call anything; what may also be called
 * in signal handlers says so.
 */
#ifndef REFUNC_H
#define REFUNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REFUNC_API_VERSION 1
#define REFUNC_UNKNOWN UINT64_MAX

/* ---- what calls answer ---- */

struct refunc_timing_stats {
  size_t size;
  uint64_t count; /* calls that have ended */
  uint64_t timed; /* those among them that were timed (timing.budget); weighted, so that the figures below are
                     of all */
  double total_s; /* recursion counted once */
  double mean_s, min_s, max_s, stddev_s;
  double p50_s, p90_s, p95_s, p99_s, p999_s; /* within 1/64 */
  double ci95_ratio; /* half width of the mean's 95% interval; 0 when every call was timed */
};

struct refunc_memory {
  size_t size;
  uint64_t rss_bytes, peak_rss_bytes; /* resident now, and at most so far */
  uint64_t heap_live_bytes, heap_peak_bytes, heap_live_blocks;
  uint64_t heap_alloc_calls, heap_requested_bytes, heap_alloc_bytes, heap_free_bytes;
};

struct refunc_leak_report {
  size_t size;
  uint64_t samples;                    /* looks since the baseline, this one included */
  uint64_t baseline_bytes, live_bytes; /* live heap then and now */
  int64_t growth_bytes;                /* between the two */
  double growth_bytes_per_s;           /* Theil-Sen slope over all looks; NaN before the second */
  double confidence;                   /* that it grows steadily (Mann-Kendall), 0 to 1; NaN below 4 looks */
  bool leaking; /* growth above the threshold, and steady with a confidence of 0.95 once there are 4 looks */
  uint64_t lost_blocks, lost_bytes; /* now live, but nothing leads to them; REFUNC_UNKNOWN unless
                                       heap.leak_check is on */
};

struct refunc_system_info {
  size_t size;
  char hostname[65], kernel[65], cpu_model[96], refunc_version[16];
  uint64_t cpu_count, memory_bytes;
  char os[96], libc_version[16], cpu_governor[24]; /* "": not known */
  char gpu[96];                                    /* the first one's name, once the sampler has seen it */
  uint64_t gpu_count;
  double cpu_limit;    /* processors that the control group allows; NaN: no limit */
  double load_1m;      /* when the process began */
  int virtual_machine; /* 1, 0; -1: not known */
};

/* What a monitor measures. {0} with its size measures nothing; the presets below are the usual choices. */
struct refunc_config {
  size_t size;
  bool timing, memory, system;
  bool print_results;      /* a line on stderr at the end, in the form of refunc.log_format */
  bool abort_on_violation; /* a violated validator aborts the process; else it is counted in the result */
};
#define REFUNC_CONFIG_QUICK                                                                                  \
  { sizeof(struct refunc_config), true, false, false, false, false }
#define REFUNC_CONFIG_DEFAULT                                                                                \
  { sizeof(struct refunc_config), true, true, true, false, false }
#define REFUNC_CONFIG_FULL                                                                                   \
  { sizeof(struct refunc_config), true, true, true, true, false }
#define REFUNC_CONFIG_DEBUG                                                                                  \
  { sizeof(struct refunc_config), true, true, true, true, true }

/* What a monitor measured, on the thread that ran it. */
struct refunc_result {
  size_t size;
  char name[64];
  double wall_s, cpu_s, cpu_ratio;
  uint64_t alloc_calls, requested_bytes, alloc_bytes, free_bytes;
  int64_t net_bytes, peak_bytes; /* peak: of the thread's heap, above what was live at the beginning */
  uint64_t rss_begin_bytes, rss_end_bytes, peak_rss_bytes;
  uint64_t faults, switches, read_bytes, write_bytes, sent_bytes, received_bytes;
  uint64_t validations, violations;
  char first_violation[128]; /* "validator: parameter: what it said" */
  double gpu_ratio; /* with system: of the process's GPUs (2: two all the time), by the sampler's looks in the
                       block; NaN: none */
  uint64_t gpu_memory_bytes; /* at the end, or shortly before */
};

/* What a validator is shown: one value, or count elements. */
struct refunc_value {
  size_t size;
  const char *function, *parameter;
  int kind; /* 0 signed, 1 unsigned, 2 floating-point, 3 long double, 4 bytes of a struct */
  int64_t integer;
  double real;
  const void *data;
  size_t count, element_size;
  char *message; /* room for what is wrong, in words: see refunc_violated */
  size_t message_bytes;
};
/* 0: good; anything else is a violation. */
typedef int refunc_validator(const struct refunc_value *value, void *user);

/* What "on_violation: call PLUGIN:FUNCTION" hands to void FUNCTION(const struct refunc_violation *). */
struct refunc_violation {
  size_t size;
  const char *function, *parameter, *rule;
  int kind; /* of the value, as in struct refunc_value */
  int64_t integer;
  double real;
  uint64_t index;      /* of the first bad element */
  const void *address; /* of what can't be read, or of a string */
  const char *message; /* what a validator said of it, or "" */
};
/* Of a function, a block or a span. The name lives as long as the process. */
typedef void refunc_timing_visitor(const char *name, const struct refunc_timing_stats *stats, void *user);
typedef void refunc_alert(const struct refunc_memory *memory, void *user);

/* ---- what callers keep ---- */

/* One place in the code that names a block. */
struct refunc_site {
  const char *name;
  uint32_t id; /* Refunc's; 0: not asked for yet */
};

/* A running timer: passed in registers, so that it costs nothing where there is no preload. thread NULL: it
 * does not run. */
struct refunc_running {
  uint64_t start;
  void *thread;
};
struct refunc_timer {
  struct refunc_site *site;
  struct refunc_running running;
};

struct refunc_monitor {
  size_t size;
  uint64_t opaque[48];
};

struct refunc_profiler {
  size_t size;
  const char *name;
  void *state;
};
#define REFUNC_PROFILER(name)                                                                                \
  { sizeof(struct refunc_profiler), name, NULL }

/* ---- the table of functions: the one thing that is looked up ---- */

struct refunc_api {
  size_t size;
  struct refunc_running (*timer_begin)(struct refunc_site *site);
  void (*timer_end)(struct refunc_site *site, struct refunc_running running);
  int (*monitor_begin)(struct refunc_monitor *monitor, const char *name, const struct refunc_config *config);
  int (*monitor_validate)(struct refunc_monitor *monitor, const char *validator,
                          const struct refunc_value *value);
  int (*monitor_end)(struct refunc_monitor *monitor, struct refunc_result *result);
  int (*result_summary)(const struct refunc_result *result, char *text, size_t bytes);
  int (*async_begin)(const char *name, uint64_t key);
  int (*async_end)(const char *name, uint64_t key);
  int (*profiler_start)(struct refunc_profiler *profiler);
  int (*profiler_stop)(struct refunc_profiler *profiler);
  int (*profiler_reset)(struct refunc_profiler *profiler);
  int (*profiler_report)(struct refunc_profiler *profiler, struct refunc_timing_stats *stats);
  void (*profiler_free)(struct refunc_profiler *profiler);
  int (*get_timing_stats)(const char *name, struct refunc_timing_stats *stats);
  int (*clear_timing_stats)(const char *name);
  int (*on_memory_alert)(uint64_t bytes, refunc_alert *callback, void *user);
  int (*get_memory)(struct refunc_memory *memory);
  int (*leak_baseline)(void);
  int (*leak_sample)(void);
  int (*leak_check)(uint64_t threshold_bytes, struct refunc_leak_report *report);
  int (*get_system_info)(struct refunc_system_info *info);
  int (*register_validator)(const char *name, refunc_validator *function, void *user);
  int (*has_regressed)(const char *name, double baseline_s, double tolerance);
  int (*result_json)(const struct refunc_result *result, char *text, size_t bytes);
  int (*timing_summary)(const char *name, const struct refunc_timing_stats *stats, char *text, size_t bytes);
  int (*visit_timing_stats)(refunc_timing_visitor *visitor, void *user);
};

#ifdef REFUNC_IMPLEMENTATION /* the library itself */
const struct refunc_api *refunc_api_v1(void);
#else

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* One a module: NULL until it was looked up, REFUNC_ABSENT_ without the preload. */
#define REFUNC_ABSENT_ ((const struct refunc_api *)1)
__attribute__((weak, visibility("hidden"))) const struct refunc_api *refunc_api_found_;

static const struct refunc_api *refunc_find_(void) {
  const struct refunc_api *(*get)(void);
  void *found = dlsym(NULL /* RTLD_DEFAULT */, "refunc_api_v1");
  if (!found) dlerror(); /* the app's own next error shall be its own */
  __builtin_memcpy(&get, &found, sizeof get);
  const struct refunc_api *api = found ? get() : NULL;
  if (!api) api = REFUNC_ABSENT_;
  __atomic_store_n(&refunc_api_found_, api, __ATOMIC_RELEASE);
  return api;
}

/* Before main, so that no error of the app's can be waiting in dlerror, and no signal handler comes first. */
__attribute__((constructor, used)) static void refunc_find_early_(void) {
  if (!refunc_api_found_) refunc_find_();
}

/* NULL without the preload. Cost: a load and a predictable branch. */
static inline const struct refunc_api *refunc_api_(void) {
  const struct refunc_api *api = __atomic_load_n(&refunc_api_found_, __ATOMIC_ACQUIRE);
  if (__builtin_expect((uintptr_t)api <= 1, 0)) {
    if (api) return NULL;
    api = refunc_find_();
    if (api == REFUNC_ABSENT_) return NULL;
  }
  return api;
}

/* Whether the library knows a function that came later. */
#define REFUNC_KNOWS_(api, member) ((api) && (api)->size > offsetof(struct refunc_api, member))

/* Whether this process is recorded by Refunc. */
static inline bool refunc_active(void) { return refunc_api_() != NULL; }

/* ---- blocks ---- */

/* A timer by hand: begin and end in any nesting, on any thread. Signal-safe. Cost: two clock reads and some 5
 * ns. */
static inline struct refunc_timer refunc_timer_begin(struct refunc_site *site) {
  struct refunc_timer timer = {site, {0, NULL}};
  const struct refunc_api *api = refunc_api_();
  if (api) timer.running = api->timer_begin(site);
  return timer;
}
static inline void refunc_timer_end(struct refunc_timer *timer) {
  if (timer->running.thread) refunc_api_found_->timer_end(timer->site, timer->running);
  timer->running.thread = NULL;
  timer->site = NULL;
}

#define REFUNC_SITE_(name)                                                                                   \
  (__extension__({                                                                                           \
    static struct refunc_site refunc_site_ = {"" name "", 0};                                                \
    &refunc_site_;                                                                                           \
  }))
#define REFUNC_JOIN2_(a, b) a##b
#define REFUNC_JOIN_(a, b) REFUNC_JOIN2_(a, b)

/*
 * REFUNC_TIMER("name") { ... } times the block, REFUNC_SCOPE("name"); the rest of the scope that it stands
 * in; the name is a string literal. However it is left (return, goto, an exception in C++), it ends; only
 * longjmp leaves it open. In C, break and continue in a REFUNC_TIMER block leave the block. Signal-safe.
 * Cost: two clock reads and about 6 ns; 1 ns without the preload.
 */
#ifdef __cplusplus
#define REFUNC_TIMER(name)                                                                                   \
  if (::refunc::timer REFUNC_JOIN_(refunc_timer_, __LINE__){REFUNC_SITE_(name)}; false) {                    \
  } else
#define REFUNC_SCOPE(name)                                                                                   \
  ::refunc::timer REFUNC_JOIN_(refunc_timer_, __LINE__) { REFUNC_SITE_(name) }
#else
#define REFUNC_TIMER(name)                                                                                   \
  for (struct refunc_timer REFUNC_JOIN_(refunc_timer_, __LINE__)                                             \
           __attribute__((cleanup(refunc_timer_end))) = refunc_timer_begin(REFUNC_SITE_(name));              \
       REFUNC_JOIN_(refunc_timer_, __LINE__).site; refunc_timer_end(&REFUNC_JOIN_(refunc_timer_, __LINE__)))
#define REFUNC_SCOPE(name)                                                                                   \
  struct refunc_timer REFUNC_JOIN_(refunc_timer_, __LINE__)                                                  \
      __attribute__((cleanup(refunc_timer_end), unused)) = refunc_timer_begin(REFUNC_SITE_(name))
#endif

/* ---- monitors: a block's time, heap, system figures and validations, as a result ---- */

/* config NULL: REFUNC_CONFIG_DEFAULT. Ends on the thread that began it. Cost: about 1 us with system figures.
 */
static inline int refunc_monitor_begin(struct refunc_monitor *monitor, const char *name,
                                       const struct refunc_config *config) {
  const struct refunc_api *api = refunc_api_();
  monitor->size = sizeof *monitor;
  return api ? api->monitor_begin(monitor, name, config) : -ENOSYS;
}

/* Shows a value to a registered validator, between begin and end. 1: violated; 0: good, or nothing was
 * checked. */
static inline int refunc_monitor_validate(struct refunc_monitor *monitor, const char *validator,
                                          const struct refunc_value *value) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->monitor_validate(monitor, validator, value) : 0;
}
static inline int refunc_monitor_validate_doubles(struct refunc_monitor *monitor, const char *validator,
                                                  const char *parameter, const double *values, size_t count) {
  struct refunc_value value = {sizeof(struct refunc_value),
                               NULL,
                               parameter,
                               2,
                               0,
                               count ? values[0] : 0,
                               values,
                               count,
                               sizeof *values,
                               NULL,
                               0};
  return refunc_monitor_validate(monitor, validator, &value);
}

/* result may be NULL. */
static inline int refunc_monitor_end(struct refunc_monitor *monitor, struct refunc_result *result) {
  const struct refunc_api *api = refunc_api_();
  if (result) result->size = sizeof *result;
  return api ? api->monitor_end(monitor, result) : -ENOSYS;
}

/* One line of text, as snprintf: the length it has. Without the preload an empty one. Not in signal handlers.
 */
static inline int refunc_result_summary(const struct refunc_result *result, char *text, size_t bytes) {
  const struct refunc_api *api = refunc_api_();
  if (!api && bytes) text[0] = 0;
  return api ? api->result_summary(result, text, bytes) : 0;
}

/* The same as one JSON object, to be kept; what was not measured is null. */
static inline int refunc_result_json(const struct refunc_result *result, char *text, size_t bytes) {
  const struct refunc_api *api = refunc_api_();
  if (bytes) text[0] = 0;
  return REFUNC_KNOWS_(api, result_json) ? api->result_json(result, text, bytes) : 0;
}

/* ---- async spans: begun and ended anywhere, joined by name and key ---- */

/* -EBUSY: too many in flight, dropped and counted. A second begin of a key that is open restarts it.
 * Signal-safe. */
static inline int refunc_async_begin(const char *name, uint64_t key) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->async_begin(name, key) : -ENOSYS;
}
/* -ENOENT: no such span is open. Signal-safe. */
static inline int refunc_async_end(const char *name, uint64_t key) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->async_end(name, key) : -ENOSYS;
}

/* ---- profilers: statistics of their own, that start and reset when the app says ---- */

/* One thread at a time for one profiler. */
static inline int refunc_profiler_start(struct refunc_profiler *profiler) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->profiler_start(profiler) : -ENOSYS;
}
static inline int refunc_profiler_stop(struct refunc_profiler *profiler) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->profiler_stop(profiler) : -ENOSYS;
}
static inline int refunc_profiler_reset(struct refunc_profiler *profiler) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->profiler_reset(profiler) : -ENOSYS;
}
static inline int refunc_profiler_report(struct refunc_profiler *profiler,
                                         struct refunc_timing_stats *stats) {
  const struct refunc_api *api = refunc_api_();
  stats->size = sizeof *stats;
  return api ? api->profiler_report(profiler, stats) : -ENOSYS;
}
static inline void refunc_profiler_free(struct refunc_profiler *profiler) {
  const struct refunc_api *api = refunc_api_();
  if (api) api->profiler_free(profiler);
}

/* ---- statistics while the app runs ---- */

/*
 * Of a function that is timed, or of a block: merged over all threads as of now. name as the report shows it;
 * without parameters it stands for all overloads. -ENOENT: nothing of that name. Cost: some 10 us for few
 * functions.
 */
static inline int refunc_get_timing_stats(const char *name, struct refunc_timing_stats *stats) {
  const struct refunc_api *api = refunc_api_();
  stats->size = sizeof *stats;
  return api ? api->get_timing_stats(name, stats) : -ENOSYS;
}

/* One line of text, as snprintf: calls, mean and deviation, percentiles, least and most. Not in signal
 * handlers. */
static inline int refunc_timing_summary(const char *name, const struct refunc_timing_stats *stats, char *text,
                                        size_t bytes) {
  const struct refunc_api *api = refunc_api_();
  if (bytes) text[0] = 0;
  return REFUNC_KNOWS_(api, timing_summary) ? api->timing_summary(name, stats, text, bytes) : 0;
}

/* Shows the visitor everything that was called since it was last cleared, overloads one by one. Answers how
 * many there were. Cost: for few functions some 10 us each. */
static inline int refunc_visit_timing_stats(refunc_timing_visitor *visitor, void *user) {
  const struct refunc_api *api = refunc_api_();
  return REFUNC_KNOWS_(api, visit_timing_stats) ? api->visit_timing_stats(visitor, user) : -ENOSYS;
}

/* What get_timing_stats answers starts afresh, of one name or (NULL) of all; the report keeps the whole run.
 * Minimum and maximum are within 1/64 afterwards. */
static inline int refunc_clear_timing_stats(const char *name) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->clear_timing_stats(name) : -ENOSYS;
}

/* Whether the mean is above baseline_s * (1 + tolerance); false when nothing of that name was timed. */
static inline bool refunc_has_regressed(const char *name, double baseline_s, double tolerance) {
  const struct refunc_api *api = refunc_api_();
  return api && api->has_regressed(name, baseline_s, tolerance) > 0;
}

/* ---- memory ---- */

/* Cost: about 2 us for what the kernel has to say. */
static inline int refunc_get_memory(struct refunc_memory *memory) {
  const struct refunc_api *api = refunc_api_();
  memory->size = sizeof *memory;
  return api ? api->get_memory(memory) : -ENOSYS;
}

/*
 * callback runs on a thread of its own each time resident memory crosses bytes from below, at most
 * system.interval late. Replaces system.rss_alert and an earlier callback; bytes 0 or callback NULL takes it
 * away. Starts a thread at the first call. -ENOTSUP while the sampler is off. A forked child registers anew.
 */
static inline int refunc_on_memory_alert(uint64_t bytes, refunc_alert *callback, void *user) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->on_memory_alert(bytes, callback, user) : -ENOSYS;
}

/* Leaks by growth: a baseline, looks at steady points (after each request, each epoch), and the verdict.
 * -ENOTSUP: heap.mode is off. */
static inline int refunc_leak_baseline(void) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->leak_baseline() : -ENOSYS;
}
static inline int refunc_leak_sample(void) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->leak_sample() : -ENOSYS;
}
/* Takes a look, too. 1: leaking, 0: not. With heap.leak_check on it also looks for lost blocks, for which all
 * threads stand still: about 1 ns for 8 bytes of memory in use. */
static inline int refunc_leak_check(uint64_t threshold_bytes, struct refunc_leak_report *report) {
  const struct refunc_api *api = refunc_api_();
  if (report) report->size = sizeof *report;
  return api ? api->leak_check(threshold_bytes, report) : -ENOSYS;
}

/* ---- the rest ---- */

static inline int refunc_get_system_info(struct refunc_system_info *info) {
  const struct refunc_api *api = refunc_api_();
  info->size = sizeof *info;
  return api ? api->get_system_info(info) : -ENOSYS;
}

/* For rules (validator NAME) and monitors. function NULL takes it away. */
static inline int refunc_register_validator(const char *name, refunc_validator *function, void *user) {
  const struct refunc_api *api = refunc_api_();
  return api ? api->register_validator(name, function, user) : -ENOSYS;
}

/* A validator's last words: "return refunc_violated(value, "%g is no probability", x);" shows them in reports
 * and results. */
__attribute__((format(printf, 2, 3), unused)) static int refunc_violated(const struct refunc_value *value,
                                                                         const char *format, ...) {
  va_list arguments;
  if (value->size < offsetof(struct refunc_value, message_bytes) + sizeof(size_t) || !value->message)
    return 1;
  va_start(arguments, format);
  vsnprintf(value->message, value->message_bytes, format, arguments);
  va_end(arguments);
  return 1;
}

#endif /* REFUNC_IMPLEMENTATION */

#ifdef __cplusplus
}

#ifndef REFUNC_IMPLEMENTATION
namespace refunc {

/* Times its own life. */
class timer {
public:
  explicit timer(refunc_site *site) noexcept : state_(refunc_timer_begin(site)) {}
  timer(const timer &) = delete;
  timer &operator=(const timer &) = delete;
  ~timer() { refunc_timer_end(&state_); }

private:
  refunc_timer state_;
};

/* Monitors its own life, or until end(). */
class monitor {
public:
  explicit monitor(const char *name, const refunc_config &config = REFUNC_CONFIG_DEFAULT) noexcept {
    running_ = refunc_monitor_begin(&state_, name, &config) == 0;
  }
  monitor(const monitor &) = delete;
  monitor &operator=(const monitor &) = delete;
  ~monitor() { end(nullptr); }
  int end(refunc_result *result) noexcept {
    int status = running_ ? refunc_monitor_end(&state_, result) : -ENOSYS;
    running_ = false;
    return status;
  }
  bool validate(const char *validator, const char *parameter, const double *values, size_t count) noexcept {
    return refunc_monitor_validate_doubles(&state_, validator, parameter, values, count) == 0;
  }

private:
  refunc_monitor state_;
  bool running_;
};

} // namespace refunc
#endif
#endif

#endif
