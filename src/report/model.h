/*
 * What a report says, free of how it is shown: one or more recordings, merged.
 *
 *   recording ─┐                                  ┌─▶ text.c
 *   recording ─┼─▶ model.c (+ functions, system) ─┼─▶ json.c, csv.c, openmetrics.c
 *   recording ─┘            ▲                     └─▶ compare.c
 *                           └── load_json.c (a report of earlier)
 *
 * Times are seconds, sizes bytes, shares ratios. A double that could not be measured is NaN. Strings lie in
 * the report's arena, are never NULL, and come from files: they may hold anything, so renderers escape them.
 */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recording/format.h"
#include "report/arena.h"
#include "report/quantile.h"

struct rf_reader;
struct rf_symbolizer;

struct rf_report_process {
  const char *exe, *cwd, *start_time, *exit_kind, *path, *boot_id;
  const char **argv;
  size_t argc;
  uint32_t pid, ppid;
  uint64_t start_ticks; /* with pid and boot: which process; images that exec replaced share it */
  bool is_root, alive;
  double threads_max, duration_s;
  double exit_code; /* NaN while it runs or where it is lost */
  double start_s;   /* CLOCK_MONOTONIC, to put timelines side by side */
  double heap_peak_bytes, peak_rss_bytes;
};

struct rf_report_frame;

/* One call that was kept: slow, or an example of a violation. */
struct rf_report_call {
  double time_s, duration_s; /* since the start; NaN where it says nothing */
  uint32_t thread;
  const char *args;    /* "x=0x7f..., n=100" */
  const char *value;   /* what was found; a number, or words */
  const char *message; /* what a validator said of it, or "" */
  bool has_index;
  uint64_t index;
  struct rf_report_frame *frame; /* the function's caller first */
  size_t depth;
};

struct rf_report_violation {
  const char *function, *module, *parameter, *rule;
  uint64_t count, unchecked; /* unchecked: calls in which it could not be looked at */
  struct rf_report_call *example;
  size_t examples;
};

struct rf_report_option {
  const char *key, *value, *origin;
};

struct rf_function_heap {
  double alloc_calls, requested_bytes, alloc_bytes, free_bytes, net_bytes, peak_bytes;
};
struct rf_function_system {
  double cpu_ratio, peak_rss_bytes, faults, switches, read_bytes, write_bytes, sent_bytes, received_bytes,
      gpu_ratio;
  double cpu_s, gpu_busy_s, gpu_time_s; /* what cpu_ratio and gpu_ratio are made of */
};

struct rf_report_function {
  const char *name, *module, *mode;
  const char *aliases; /* other names of the same code, separated by newlines; "" or NULL: none */
  uint8_t build_id[20];
  uint32_t build_id_bytes;
  uint64_t offset;
  uint64_t calls, timed_calls, unwound, open, threads;
  double total_s, self_s, mean_s, stddev_s, min_s, max_s;
  double p50_s, p90_s, p95_s, p99_s, p999_s;
  double ci95_ratio; /* half width of the 95% confidence interval of the mean, relative; 0 when every call was
                        timed */
  struct rf_duration_bucket *bucket; /* sorted by middle_s */
  size_t buckets;
  bool has_heap, has_system;
  bool by_slots, is_block; /* by_slots: only calls that came through slots are in its figures */
  struct rf_function_heap heap;
  struct rf_function_system system;
  uint64_t violations;
  struct rf_report_call *kept; /* slowest first */
  size_t kepts;
};

struct rf_report_span {
  const char *begin, *end;
  uint64_t in_flight_max, open, duplicate_keys, unmatched_ends, dropped;
};

struct rf_report_edge {
  size_t caller, callee;
  uint64_t calls;
  double total_s;
};
struct rf_report_skipped {
  const char *name, *module, *reason;
};
struct rf_report_unmatched {
  const char *pattern, *reason, *nearest;
  size_t seen;
}; /* nearest: newline-separated */
struct rf_report_unavailable {
  const char *path, *reason;
};

struct rf_report_module {
  const char *path;
  uint8_t build_id[20];
  uint32_t build_id_bytes;
};

/* What a code address is called: several where calls were inlined there, innermost first. */
struct rf_report_symbol {
  const char *function, *file; /* "" where not known */
  unsigned line;               /* 0: not known */
  bool inlined;                /* into the next one */
};

struct rf_report_frame {
  uint32_t module;  /* index; RF_NO_MODULE: address is not in any */
  uint64_t address; /* of the return, from where the module's file begins to count; in memory where there is
                       none */
};
#define RF_NO_MODULE UINT32_MAX

struct rf_report_site {
  struct rf_report_frame *frame; /* innermost first */
  size_t depth;
  bool truncated, sampled, suppressed; /* suppressed: as a leak */
  size_t others;                       /* > 0: this many further sites, summed up; no frames */
  double alloc_calls, requested_bytes, alloc_bytes, live_bytes, live_blocks, peak_bytes, at_peak_bytes,
      temporary_calls, lifetimes, lifetime_s, variance_bytes, lost_blocks, lost_bytes;
  const struct rf_report_trend *trend; /* of its live bytes; NULL: too little is known */
  int reachable;                       /* 1, 0: no pointer leads to some of its blocks; -1: not looked at */
};

struct rf_report_trend {
  double growth_bytes_per_s, confidence;
};

/* A module with an allocator of its own whose blocks, or some of them, are not seen. */
struct rf_report_unseen {
  const char *module, *reason;
};

/* What the allocator says of itself; which of it is known depends on the allocator. */
enum rf_allocator_figure {
  RF_ALLOCATOR_ALLOCATED,
  RF_ALLOCATOR_MAPPED,
  RF_ALLOCATOR_ACTIVE, /* from here on jemalloc's */
  RF_ALLOCATOR_RESIDENT,
  RF_ALLOCATOR_RETAINED,
  RF_ALLOCATOR_METADATA,
  RF_ALLOCATOR_ARENA, /* from here on glibc's */
  RF_ALLOCATOR_FREE,
  RF_ALLOCATOR_FAST,
  RF_ALLOCATOR_RELEASABLE,
  RF_ALLOCATOR_MMAPPED,
  RF_ALLOCATOR_MMAPPED_BLOCKS,
  RF_ALLOCATOR_FREE_CHUNKS,
  RF_ALLOCATOR_FIGURES
};
extern const char *const rf_allocator_figure_names[RF_ALLOCATOR_FIGURES];
/* What the allocator holds of the system's memory, resident where it knows that; and the share of it that is
 * not in the app's blocks. NaN: not known. */
double rf_allocator_held(const double *figures);
double rf_allocator_fragmentation(const double *figures);

struct rf_report_heap {
  const char *mode, *allocator;
  double alloc_calls, free_calls, requested_bytes, alloc_bytes, free_bytes, live_bytes, live_blocks,
      peak_bytes, peak_rss_bytes, failed_calls, realloc_calls;
  uint64_t size_class[RF_HEAP_CLASSES];
  double inherited_live_bytes, inherited_live_blocks;
  double mmap_bytes, munmap_bytes, mapped_live_bytes;
  double rss_heap_bytes, rss_slack_bytes, rss_thread_stack_bytes, rss_file_bytes, rss_anonymous_bytes,
      rss_refunc_bytes;
  double at_end[RF_ALLOCATOR_FIGURES], at_peak[RF_ALLOCATOR_FIGURES]; /* by enum rf_allocator_figure */
  struct rf_report_unseen *unseen;
  size_t unseens;
  double check_threads, check_unhalted, check_blocks, check_lost_blocks, check_lost_bytes,
      check_duration_s; /* of heap.leak_check; unhalted: processes whose other threads ran on meanwhile */
  struct rf_report_site *site; /* by falling at_peak_bytes; the sum of those left out last */
  size_t sites;
  struct rf_report_module *module;
  size_t modules;
};

struct rf_report_point {
  double time_s, length_s, value[RF_METRICS][3];
};

struct rf_report_gpu {
  const char *name, *scope;
  double utilization_mean, utilization_max, memory_mean, memory_max, energy_j, power_w, temperature_c;
};

struct rf_report_system {
  bool recorded; /* a sampler or at least its totals were there */
  double interval_s, samples;
  double cpu_mean, cpu_max, cpu_p95, machine_mean, machine_max;
  double throttled_s, user_s, sys_s, voluntary_switches, involuntary_switches, run_delay_s;
  double rss_mean, rss_max, pss_bytes, major_faults, minor_faults, cgroup_limit_bytes, alerts;
  double read_bytes, write_bytes, read_chars, write_chars, read_calls, write_calls;
  double sent_bytes, received_bytes, namespace_sent_bytes, namespace_received_bytes;
  struct rf_report_gpu *gpu;
  size_t gpus;
  struct rf_report_point *point;
  size_t points;
};

struct rf_report_self {
  double probe_cost_s, clock_cost_s; /* of one timed call, of one clock read */
  double overhead_s;                 /* all of it together */
  double probes_s, sampler_s, start_s, memory_bytes;
  double rules_s,
      measured_s;    /* at calls, beyond timing them: rules, spans and kept calls; heap and system figures */
  double counting_s; /* of calls that were merely counted; NAN: not known, though there were such */
  double dropped_calls, dropped_functions, dropped_samples, dropped_sites;
};

struct rf_report {
  struct rf_arena *arena;
  const char *hostname, *kernel, *cpu_model, *refunc_version, *os, *libc_version, *cpu_governor,
      *transparent_huge_pages, *virtual_machine; /* "": not known */
  double cpu_max_hz, cpu_limit, load_1m;
  double cpu_count, memory_bytes;
  struct rf_report_process *process; /* process[0] is the root */
  size_t processes;
  size_t recordings; /* more than processes where exec replaced images */
  struct rf_report_option *option;
  size_t options;
  struct rf_report_function *function; /* by falling total_s once finished */
  size_t functions;
  struct rf_report_edge *edge;
  size_t edges;
  struct rf_report_skipped *skipped;
  size_t skips;
  struct rf_report_unmatched *unmatched;
  size_t unmatches;
  struct rf_report_unavailable *unavailable;
  size_t unavailables;
  struct rf_report_heap heap;
  struct rf_report_system system;
  struct rf_report_self self;
  struct rf_report_violation *violation; /* by falling count */
  size_t violations;
  struct rf_report *spans;          /* each a function of this report; NULL: none */
  struct rf_report_span *span;      /* what else is to be said, in the same order */
  bool truncated, sampled;          /* sampled: some calls were merely counted */
  struct rf_symbolizer *symbolizer; /* what symbolize.c knows so far */
};

/* Whether some of its calls were merely counted, so that a peak of the timed ones is a lower bound. */
static inline bool rf_function_sampled(const struct rf_report_function *f) { return !(f->ci95_ratio == 0); }

/* A report of count opened recordings (at least one); the readers may be closed afterwards. */
struct rf_report *rf_report_build(struct rf_reader *const *readers, size_t count);
/* An empty one, for loaders; everything measured is NaN. */
struct rf_report *rf_report_new(void);
void rf_report_free(struct rf_report *report);

/* The value of an option as it was in effect, "" when the recording doesn't say. */
const char *rf_report_option(const struct rf_report *report, const char *key);
/* The reason recorded for path or the nearest path above it, or NULL. */
const char *rf_report_reason(const struct rf_report *report, const char *path);
void rf_report_unavailable(struct rf_report *report, const char *path,
                           const char *reason); /* the first reason holds */

/* NaN-aware arithmetic for merging: what is unknown in one part doesn't spoil what is known in others. */
static inline double rf_add_known(double a, double b) { return isnan(a) ? b : isnan(b) ? a : a + b; }
static inline double rf_max_known(double a, double b) { return isnan(a) ? b : isnan(b) ? a : a > b ? a : b; }
static inline double rf_min_known(double a, double b) { return isnan(a) ? b : isnan(b) ? a : a < b ? a : b; }
