/*
 * What one tick of the sampler gathers, and the table of sources that fill it in.
 *
 *   /proc, /sys, system calls ──▶ source.read ──▶ value[metric] (this tick) ──▶ timeline, means, p95
 *                                           └──▶ totals (rf_system_entry, updated in place)
 *
 * Runs on the sampler's thread (no libc, no TLS), or on the app's thread that calls rf_sampler_stop where the
 * sampler's thread is not there any more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recording/format.h"
#include "sample/scan.h"

#define RF_READING_BYTES 16384

/* What Refunc's own threads used: taken out of the process's figures. */
struct rf_own {
  uint64_t cpu_ns, user_ns, sys_ns;
  uint64_t minor_faults, major_faults, voluntary_switches, involuntary_switches;
  uint64_t read_chars, write_chars, read_calls, write_calls, read_bytes, write_bytes;
};

/* A file that is read at every tick stays open, in the sampler's own table: reading it again costs a third of
 * opening it again. It is renewed every second, because the process may have changed its namespaces. */
struct rf_kept {
  const char *path; /* as the source spells it: compared by address */
  long descriptor;
  int64_t since_ns;
};
#define RF_KEPT 6

struct rf_reading {
  int64_t now_ns;
  double span_s; /* since the source that is being read was read before */
  const char *proc_root, *sys_root;
  uint64_t page_bytes;
  struct rf_header *header;
  struct rf_system_entry *totals;
  bool own_thread;      /* this is the sampler's thread: its own use can be measured */
  bool whole_life;      /* totals count from the process's start; else (an exec'd child) from the sampler's */
  bool last;            /* the process is ending: what is too dear for every second may be read now */
  uint32_t own_threads; /* Refunc's threads that live now */
  struct rf_own past;   /* of sampler threads that ended */
  struct rf_own mine;   /* of the one that this is, so far */
  struct rf_own own;    /* of all, the GPU's thread included */
  uint64_t rss_bytes;   /* as last read */
  double value[RF_METRICS];     /* of this tick; NaN: not measured */
  double span[RF_METRICS];      /* the seconds that value stands for */
  uint64_t complained;          /* a bit per report path that a reason was recorded for */
  struct rf_kept kept[RF_KEPT]; /* of this thread; path NULL: free */
  char path[512];
  char text[RF_READING_BYTES]; /* of the file that was read last */
};

/*
 * One source. open takes first values; false: it is of no use here (the reason is recorded). read is called
 * every period_ns (0: at every tick), or less often where that would cost more than a thousandth of a CPU.
 * close takes last totals that are too dear before; any of the three may be NULL but read.
 */
struct rf_source {
  const char *name; /* its place in the JSON report */
  int64_t period_ns;
  bool (*open)(struct rf_reading *reading);
  void (*read)(struct rf_reading *reading);
  void (*close)(struct rf_reading *reading);
  void (*forget)(void); /* in a forked child, and before the first open */
};

extern const struct rf_source rf_source_cpu, rf_source_machine, rf_source_threads, rf_source_tasks,
    rf_source_memory, rf_source_peak, rf_source_disk, rf_source_network, rf_source_throttling,
    rf_source_limit, rf_source_heap, rf_source_sites, rf_source_gpu;

/* Places in the report whose absence is explained once each. */
enum rf_absence {
  RF_ABSENT_SYSTEM,
  RF_ABSENT_TIMELINE,
  RF_ABSENT_CPU,
  RF_ABSENT_CPU_SYSTEM,
  RF_ABSENT_THROTTLED,
  RF_ABSENT_RUN_DELAY,
  RF_ABSENT_MEMORY,
  RF_ABSENT_PSS,
  RF_ABSENT_LIMIT,
  RF_ABSENT_DISK,
  RF_ABSENT_NETWORK,
  RF_ABSENT_NAMESPACE,
  RF_ABSENT_GPU,
};

/* Reads root + path into text; 0, or -errno (-ENODATA for an empty file). whole: it may come in several
 * pieces. */
long rf_reading_file(struct rf_reading *reading, const char *root, const char *path, bool whole,
                     struct rf_scan *text);
/* The same for a file that is read at every tick; path is a literal. */
long rf_reading_often(struct rf_reading *reading, const char *root, const char *path, bool whole,
                      struct rf_scan *text);
/* The same for the path that reading->path holds. */
long rf_reading_path(struct rf_reading *reading, bool whole, struct rf_scan *text);

/* Records, once, why a place in the report stays null: "FILE: permission denied", or reason as it is. */
void rf_reading_failed(struct rf_reading *reading, enum rf_absence what, const char *file, long error);
void rf_reading_absent(struct rf_reading *reading, enum rf_absence what, const char *reason);

/* Sets a metric of this tick; NaN, infinite and negative values are left out. */
void rf_reading_set(struct rf_reading *reading, enum rf_metric metric, double value);
/* Sets a total of the recording's rf_system_entry, and clears its bit in missing. Totals never run backwards.
 */
void rf_reading_total(struct rf_reading *reading, uint64_t *field, uint64_t value);
/* Sets a total that may go both ways. */
void rf_reading_gauge(struct rf_reading *reading, uint64_t *field, uint64_t value);

/* A counter of the kernel's, seen at successive moments. */
struct rf_counter {
  uint64_t first, last;
  int64_t last_ns;
  bool known;
};
/* Its growth per second since the call before; NaN the first time and where it ran backwards. */
double rf_counter_rate(struct rf_counter *counter, uint64_t value, int64_t now_ns);
/* Its value since the process's (whole_life) or the sampler's start. Call after rf_counter_rate. */
uint64_t rf_counter_total(const struct rf_counter *counter, bool whole_life);

/* What the sampler's thread itself used so far, from the kernel. */
void rf_own_measure(struct rf_own *own);
void rf_own_add(struct rf_own *sum, const struct rf_own *more);

static inline uint64_t rf_less(uint64_t value, uint64_t taken) { return value > taken ? value - taken : 0; }
