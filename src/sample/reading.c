/* See reading.h. */
#include "sample/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "recording/writer.h"
#include "sample/file.h"

long rf_reading_path(struct rf_reading *reading, bool whole, struct rf_scan *text) {
  long length = rf_file_read(reading->path, reading->text, sizeof reading->text, whole);
  *text = (struct rf_scan){reading->text, reading->text + (length > 0 ? length : 0)};
  return length < 0 ? length : length == 0 ? -ENODATA : 0;
}

long rf_reading_file(struct rf_reading *reading, const char *root, const char *path, bool whole,
                     struct rf_scan *text) {
  struct rf_note name = rf_note_in(reading->path, sizeof reading->path);
  rf_note_add(&name, root);
  rf_note_add(&name, path);
  return rf_reading_path(reading, whole, text);
}

static struct rf_kept *kept_slot(struct rf_reading *reading, const char *path) {
  struct rf_kept *free = NULL;
  for (int i = 0; i < RF_KEPT; i++) {
    if (reading->kept[i].path == path) return &reading->kept[i];
    if (!reading->kept[i].path) free = &reading->kept[i];
  }
  return free;
}

/* The file's descriptor, opened now if need be; or -errno. */
static long kept_descriptor(struct rf_reading *reading, struct rf_kept *kept, const char *root,
                            const char *path) {
  if (kept->path && reading->now_ns - kept->since_ns < 1000000000) return kept->descriptor;
  if (kept->path) rf_file_close(kept->descriptor);
  kept->path = NULL;
  struct rf_note name = rf_note_in(reading->path, sizeof reading->path);
  rf_note_add(&name, root);
  rf_note_add(&name, path);
  long descriptor = rf_file_open(reading->path, O_RDONLY);
  if (descriptor >= 0) *kept = (struct rf_kept){path, descriptor, reading->now_ns};
  return descriptor;
}

long rf_reading_often(struct rf_reading *reading, const char *root, const char *path, bool whole,
                      struct rf_scan *text) {
  struct rf_kept *kept = reading->own_thread ? kept_slot(reading, path) : NULL;
  if (!kept) return rf_reading_file(reading, root, path, whole, text);
  long descriptor = kept_descriptor(reading, kept, root, path);
  long length = descriptor < 0 ? descriptor
                               : rf_file_read_again(descriptor, reading->text, sizeof reading->text, whole);
  *text = (struct rf_scan){reading->text, reading->text + (length > 0 ? length : 0)};
  return length < 0 ? length : length == 0 ? -ENODATA : 0;
}

static const char *const places[] = {
    [RF_ABSENT_SYSTEM] = "system",
    [RF_ABSENT_TIMELINE] = "system.timeline",
    [RF_ABSENT_CPU] = "system.cpu",
    [RF_ABSENT_CPU_SYSTEM] = "system.cpu.system_ratio",
    [RF_ABSENT_THROTTLED] = "system.cpu.throttled_s",
    [RF_ABSENT_RUN_DELAY] = "system.cpu.run_delay_s",
    [RF_ABSENT_MEMORY] = "system.memory",
    [RF_ABSENT_PSS] = "system.memory.pss_bytes",
    [RF_ABSENT_LIMIT] = "system.memory.cgroup_limit_bytes",
    [RF_ABSENT_DISK] = "system.disk",
    [RF_ABSENT_NETWORK] = "system.network",
    [RF_ABSENT_NAMESPACE] = "system.network.namespace",
    [RF_ABSENT_GPU] = "system.gpu",
};

void rf_reading_absent(struct rf_reading *reading, enum rf_absence what, const char *reason) {
  if (reading->complained >> what & 1) return;
  reading->complained |= 1ull << what;
  rf_record_unavailable(places[what], reason);
}

void rf_reading_failed(struct rf_reading *reading, enum rf_absence what, const char *file, long error) {
  if (reading->complained >> what & 1) return;
  char bytes[256];
  struct rf_note reason = rf_note_in(bytes, sizeof bytes);
  rf_note_add(&reason, file);
  rf_note_add(&reason, ": ");
  rf_note_add(&reason, rf_file_error(error));
  rf_reading_absent(reading, what, bytes);
}

void rf_reading_set(struct rf_reading *reading, enum rf_metric metric, double value) {
  if (!(value >= 0 && value < 1e18)) return;
  reading->value[metric] = value;
  reading->span[metric] = reading->span_s;
}

void rf_reading_gauge(struct rf_reading *reading, uint64_t *field, uint64_t value) {
  __atomic_store_n(field, value, __ATOMIC_RELAXED);
  uint64_t bit = 1ull << (field - &reading->totals->user_ns);
  __atomic_store_n(&reading->totals->missing, reading->totals->missing & ~bit, __ATOMIC_RELEASE);
}

void rf_reading_total(struct rf_reading *reading, uint64_t *field, uint64_t value) {
  uint64_t bit = 1ull << (field - &reading->totals->user_ns);
  bool known = !(reading->totals->missing & bit);
  if (!known || value > *field) rf_reading_gauge(reading, field, value);
}

double rf_counter_rate(struct rf_counter *counter, uint64_t value, int64_t now_ns) {
  double rate = __builtin_nan("");
  if (!counter->known) {
    counter->first = value;
  } else if (value >= counter->last && now_ns > counter->last_ns) {
    rate = (double)(value - counter->last) * 1e9 / (double)(now_ns - counter->last_ns);
  }
  counter->known = true;
  counter->last = value;
  counter->last_ns = now_ns;
  return rate;
}

uint64_t rf_counter_total(const struct rf_counter *counter, bool whole_life) {
  return whole_life ? counter->last : rf_less(counter->last, counter->first);
}

static uint64_t nanoseconds(struct timeval t) {
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

void rf_own_measure(struct rf_own *own) {
  struct rusage use;
  own->cpu_ns = (uint64_t)rf_thread_cpu_ns();
  if (rf_syscall(SYS_getrusage, RUSAGE_THREAD, &use) < 0) return;
  own->user_ns = nanoseconds(use.ru_utime);
  own->sys_ns = nanoseconds(use.ru_stime);
  own->minor_faults = (uint64_t)use.ru_minflt;
  own->major_faults = (uint64_t)use.ru_majflt;
  own->voluntary_switches = (uint64_t)use.ru_nvcsw;
  own->involuntary_switches = (uint64_t)use.ru_nivcsw;
}

void rf_own_add(struct rf_own *sum, const struct rf_own *more) {
  uint64_t *to = &sum->cpu_ns;
  const uint64_t *from = &more->cpu_ns;
  for (size_t i = 0; i < sizeof *sum / sizeof *to; i++) to[i] += from[i];
}
