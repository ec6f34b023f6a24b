/*
 * A result as one line: what was measured, what was not is left out.
 *
 *   train_epoch: 1.204 s, CPU 97%, heap peak 12.3 MiB (net +1.0 MiB, 1204 allocations), RSS 80.1 MiB, 12 faults,
 *                3 switches
 *   {"name":"train_epoch","wall_s":1.204,...}        what was not measured is null
 */
#include "api/summary.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/thread.h"

/* snprintf, piece by piece: what it would need goes on counting when the room is full. */
struct line {
  char *text;
  size_t room, length;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t left = line->length < line->room ? line->room - line->length : 0;
  int more = vsnprintf(left ? line->text + line->length : NULL, left, format, arguments);
  va_end(arguments);
  if (more > 0) line->length += (size_t)more;
}

static void add_bytes(struct line *line, double bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  for (; fabs(bytes) >= 1024 && unit < 4; unit++) bytes /= 1024;
  add(line, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void add_time(struct line *line, double seconds) {
  static const char *const units[] = {"s", "ms", "us", "ns"};
  int unit = 0;
  for (; seconds < 1 && seconds > 0 && unit < 3; unit++) seconds *= 1000;
  add(line, "%.4g %s", seconds, units[unit]);
}

static bool known(uint64_t value) { return value != REFUNC_UNKNOWN; }

static void add_memory(struct line *line, const struct refunc_result *result) {
  if (result->peak_bytes != INT64_MIN) {
    add(line, ", heap peak ");
    add_bytes(line, (double)result->peak_bytes);
    add(line, " (net %s", result->net_bytes > 0 ? "+" : "");
    add_bytes(line, (double)result->net_bytes);
    add(line, ", %lu allocations)", (unsigned long)result->alloc_calls);
  }
  if (known(result->rss_end_bytes)) {
    add(line, ", RSS ");
    add_bytes(line, (double)result->rss_end_bytes);
  }
}

static void add_system(struct line *line, const struct refunc_result *result) {
  if (known(result->faults))
    add(line, ", %lu faults, %lu switches", (unsigned long)result->faults, (unsigned long)result->switches);
  if (known(result->read_bytes) && result->read_bytes + result->write_bytes) {
    add(line, ", disk ");
    add_bytes(line, (double)(result->read_bytes + result->write_bytes));
  }
  if (known(result->sent_bytes) && result->sent_bytes + result->received_bytes) {
    add(line, ", network ");
    add_bytes(line, (double)(result->sent_bytes + result->received_bytes));
  }
}

static void add_gpu(struct line *line, const struct refunc_result *result) {
  if (isnan(result->gpu_ratio)) return;
  add(line, ", GPU %.0f%%", result->gpu_ratio * 100);
  if (!known(result->gpu_memory_bytes)) return;
  add(line, " with ");
  add_bytes(line, (double)result->gpu_memory_bytes);
}

static void add_all(struct line *line, const struct refunc_result *result) {
  char name[2 * sizeof result->name];
  rf_text_visible(name, sizeof name, result->name, strnlen(result->name, sizeof result->name));
  add(line, "%s:", name);
  if (!isnan(result->wall_s)) add(line, " "), add_time(line, result->wall_s);
  if (!isnan(result->cpu_ratio)) add(line, ", CPU %.0f%%", result->cpu_ratio * 100);
  add_memory(line, result);
  add_system(line, result);
  add_gpu(line, result);
  if (result->validations)
    add(line, ", %lu of %lu validations violated", (unsigned long)result->violations,
        (unsigned long)result->validations);
  if (result->violations) add(line, " (first: %s)", result->first_violation);
}

/* ---- as JSON ---- */

static void put_number(struct line *line, const char *key, double value) {
  if (isfinite(value))
    add(line, ",\"%s\":%.9g", key, value);
  else
    add(line, ",\"%s\":null", key);
}

static void put_count(struct line *line, const char *key, uint64_t value) {
  if (known(value))
    add(line, ",\"%s\":%lu", key, (unsigned long)value);
  else
    add(line, ",\"%s\":null", key);
}

static void put_signed(struct line *line, const char *key, int64_t value) {
  if (value != INT64_MIN)
    add(line, ",\"%s\":%ld", key, (long)value);
  else
    add(line, ",\"%s\":null", key);
}

static void put_text(struct line *line, const char *key, const char *text, size_t most) {
  char escaped[1024];
  rf_text_json(escaped, sizeof escaped, text, strnlen(text, most));
  add(line, "\"%s\":\"%s\"", key, escaped);
}

static void put_all(struct line *line, const struct refunc_result *result) {
  add(line, "{");
  put_text(line, "name", result->name, sizeof result->name);
  put_number(line, "wall_s", result->wall_s);
  put_number(line, "cpu_s", result->cpu_s);
  put_number(line, "cpu_ratio", result->cpu_ratio);
  put_count(line, "alloc_calls", result->alloc_calls);
  put_count(line, "requested_bytes", result->requested_bytes);
  put_count(line, "alloc_bytes", result->alloc_bytes);
  put_count(line, "free_bytes", result->free_bytes);
  put_signed(line, "net_bytes", result->net_bytes);
  put_signed(line, "peak_bytes", result->peak_bytes);
  put_count(line, "rss_begin_bytes", result->rss_begin_bytes);
  put_count(line, "rss_end_bytes", result->rss_end_bytes);
  put_count(line, "peak_rss_bytes", result->peak_rss_bytes);
  put_count(line, "faults", result->faults);
  put_count(line, "switches", result->switches);
  put_count(line, "read_bytes", result->read_bytes);
  put_count(line, "write_bytes", result->write_bytes);
  put_count(line, "sent_bytes", result->sent_bytes);
  put_count(line, "received_bytes", result->received_bytes);
  put_number(line, "gpu_ratio", result->gpu_ratio);
  put_count(line, "gpu_memory_bytes", result->gpu_memory_bytes);
  put_count(line, "validations", result->validations);
  put_count(line, "violations", result->violations);
  add(line, ",");
  put_text(line, "first_violation", result->first_violation, sizeof result->first_violation);
  add(line, "}");
}

/* ---- out ---- */

void rf_summary_print(const struct refunc_result *result) {
  char text[512], fields[1536];
  int error = errno;
  struct line shown = {text, sizeof text, 0}, json = {fields, sizeof fields, 0};
  rf_internal_enter();
  add_all(&shown, result);
  put_all(&json, result);
  rf_internal_leave();
  rf_log_result(text, json.length < sizeof fields ? fields : "null");
  errno = error;
}

static void add_timing(struct line *line, const char *name, const struct refunc_timing_stats *stats) {
  const struct {
    const char *what;
    double value;
  } shown[] = {{", mean ", stats->mean_s}, {" +- ", stats->stddev_s}, {", p50 ", stats->p50_s},
               {", p95 ", stats->p95_s},   {", p99 ", stats->p99_s},  {", ", stats->min_s},
               {" to ", stats->max_s}};
  add(line, "%s: %lu call%s", name, (unsigned long)stats->count, stats->count == 1 ? "" : "s");
  for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
    if (!isnan(shown[i].value)) add(line, "%s", shown[i].what), add_time(line, shown[i].value);
  if (stats->ci95_ratio > 0)
    add(line, ", %lu timed, mean within %.1f%%", (unsigned long)stats->timed, stats->ci95_ratio * 100);
}

/* As much of an app's struct as it has; the rest is as it was. */
static void take(void *to, size_t size, const void *from) {
  size_t theirs = *(const size_t *)from;
  memcpy(to, from, theirs < size ? theirs : size);
}

int rf_api_timing_summary(const char *name, const struct refunc_timing_stats *stats, char *text,
                          size_t bytes) {
  struct line line = {text, bytes, 0};
  struct refunc_timing_stats all = {0};
  char visible[512];
  int error = errno;
  take(&all, sizeof all, stats);
  rf_internal_enter();
  rf_text_visible(visible, sizeof visible, name, strnlen(name, 250));
  add_timing(&line, visible, &all);
  rf_internal_leave();
  errno = error;
  return (int)line.length;
}

int rf_api_result_json(const struct refunc_result *result, char *text, size_t bytes) {
  struct line line = {text, bytes, 0};
  struct refunc_result all = {.gpu_ratio = NAN, .gpu_memory_bytes = REFUNC_UNKNOWN};
  int error = errno;
  take(&all, sizeof all, result);
  rf_internal_enter();
  put_all(&line, &all);
  rf_internal_leave();
  errno = error;
  return (int)line.length;
}

int rf_api_result_summary(const struct refunc_result *result, char *text, size_t bytes) {
  struct line line = {text, bytes, 0};
  struct refunc_result all = {.gpu_ratio = NAN}; /* of an app whose struct ends before */
  take(&all, sizeof all, result);
  int error = errno;
  rf_internal_enter();
  add_all(&line, &all);
  rf_internal_leave();
  errno = error;
  return (int)line.length;
}
