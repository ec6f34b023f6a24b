/*
 * The recording (.rfn): the one thing between the writer (the preloaded library) and the reader (the tool).
 *
 *   ┌────────────── 4096 bytes ──────────────┐
 *   │ rf_header: state, clocks, root[kind]───┼──▶ chunk ──▶ chunk ──▶ 0
 *   └────────────────────────────────────────┘     │ entries[count] of entry_bytes each
 *   then a heap that only grows: chunks of tables, strings, histogram octaves.
 *
 * A table is a chain of chunks of equally sized entries. An entry is filled first and published by storing
 * the chunk's count (release) afterwards, so a reader of a living, dead or copied process never sees half an
 * entry; a kill between the two leaves garbage that nothing refers to. Counters inside published entries are
 * updated in place by single 8-byte stores. All references are byte offsets from the start of the file, 0
 * means none. Everything is little-endian and naturally aligned. Fields are only ever appended to entries: a
 * reader uses min(entry_bytes, sizeof its own struct) and zero-fills the rest.
 */
#pragma once

#include <stdint.h>

#include "base/histogram.h"

#define RF_MAGIC "\x89REFUNC\n"
#define RF_VERSION_MAJOR 1
#define RF_VERSION_MINOR 0
#define RF_HEADER_BYTES 4096u

typedef uint32_t rf_ref; /* byte offset into the recording; 0: none */

enum rf_state {
  RF_STATE_LIVE = 1,     /* counters are being updated in place (or the process was killed) */
  RF_STATE_FINISHED = 2, /* the process ended through an exit that Refunc saw */
  RF_STATE_POINTER = 3,  /* the output file of a living process: the live copy is at live_path */
};

enum rf_exit_kind { RF_EXIT_RUNNING = 0, RF_EXIT_EXITED = 1, RF_EXIT_SIGNALED = 2, RF_EXIT_EXECED = 3 };

/* Kinds of tables; root[kind] in the header, but for RF_TABLE_SLOT, whose roots lie in the threads' entries.
 */
enum rf_table {
  RF_TABLE_NONE = 0,
  RF_TABLE_OPTION = 1,       /* rf_option_entry: every effective option */
  RF_TABLE_FACT = 2,         /* rf_fact_entry: environment and process facts */
  RF_TABLE_FUNCTION = 3,     /* rf_function_entry: every function that is timed; index in the table = id */
  RF_TABLE_SKIPPED = 4,      /* rf_skipped_entry */
  RF_TABLE_UNMATCHED = 5,    /* rf_unmatched_entry */
  RF_TABLE_THREAD = 6,       /* rf_thread_entry */
  RF_TABLE_SLOT = 7,         /* rf_slot: one function on one thread */
  RF_TABLE_SAMPLE = 8,       /* rf_sample_entry: the timeline of the sampler */
  RF_TABLE_SYSTEM = 9,       /* rf_system_entry: exactly one, updated in place */
  RF_TABLE_UNAVAILABLE = 10, /* rf_fact_entry: key is the path in the JSON report, value the reason */
  RF_TABLE_GPU = 11,         /* rf_gpu_entry: one a device, updated in place */
  RF_TABLE_EDGE = 12,        /* rf_edge_entry */
  RF_TABLE_SITE = 13,        /* rf_site_entry: allocation sites, one a call stack */
  RF_TABLE_MODULE = 14,      /* rf_module_entry: what addresses in stacks refer to */
  RF_TABLE_SITE_PART = 15,   /* rf_site_part: one site on one thread; roots lie in the threads' entries */
  RF_TABLE_VIOLATION = 16,   /* rf_violation_entry: every rule, violated or not */
  RF_TABLE_SPAN = 17,        /* rf_span_entry */
  RF_TABLE_KEPT = 18,        /* rf_kept_entry: one a function with keep */
  RF_TABLE_COUNT = 32
};

#define RF_RSS_LOOKS 48

struct rf_header {
  char magic[8];
  uint16_t version_major, version_minor;
  uint32_t header_bytes;
  uint64_t reserved_bytes; /* backed length of the file */
  uint64_t used_bytes;     /* bump cursor: everything below it was handed out */
  uint32_t state;          /* enum rf_state */
  uint32_t exit_kind;      /* enum rf_exit_kind */
  int32_t exit_code;       /* exit status, or the signal's number */
  uint32_t pid, ppid, uid;
  uint32_t is_root;         /* no recorded ancestor */
  uint32_t root_pid;        /* the pid of the run's root process */
  uint64_t pid_start_ticks; /* field 22 of /proc/PID/stat: tells a process from a later one with its pid */
  char boot_id[40];
  int64_t start_realtime_ns, start_monotonic_ns;
  int64_t end_monotonic_ns;        /* 0 while it runs */
  int64_t last_write_monotonic_ns; /* when the sampler last looked at it: a killed process lived at least
                                      until then */
  uint64_t start_cycles, end_cycles;
  double cycles_per_second;
  uint32_t clock_cost_cycles;    /* of one clock read */
  uint32_t probe_inside_cycles;  /* what the probe itself adds to a timed duration: taken out by the reader */
  uint32_t probe_outside_cycles; /* what the probe costs the caller beyond that */
  uint32_t threads_max;
  char live_path[256]; /* in the output file of a living process */
  uint64_t live_dev, live_inode;
  char output_path[1024]; /* in the live copy: where it will end up; empty for none */
  char run_dir[512];      /* the run's folder for output: auto; empty otherwise */
  rf_ref root[RF_TABLE_COUNT];
  uint64_t self_cpu_ns;   /* CPU time of Refunc's own threads */
  uint64_t self_start_ns; /* what start-up took */
  uint64_t dropped_calls, dropped_functions, dropped_samples, dropped_sites; /* never silently */
  uint64_t memory_bytes;      /* Refunc's own memory besides the recording */
  uint64_t heap_folded_bytes; /* int64: live bytes folded in by the threads */
  uint64_t heap_peak_bytes;   /* highest folded value seen; the reader adds the threads' unfolded rest */
  uint64_t inherited_live_bytes, inherited_live_blocks; /* at fork */
  uint64_t inherited_freed_bytes, inherited_freed_blocks;
  char root_dir[1024];      /* the directory in which the run's root process started */
  uint64_t pid_namespace;   /* inode of /proc/self/ns/pid; pids mean nothing to a reader in another one. 0:
                               unknown */
  char writer_version[16];  /* the Refunc that wrote it */
  uint64_t heap_peak_epoch; /* raised with every new peak: see rf_site_part */
  /* In the process's memory, for base/change.h: a function, its stack's end and its mailbox; the library's
   * own code. 0: it takes none. */
  uint64_t change_entry, change_stack, change_box, code_low, code_high;
  /* GPUs of the process: the time that looks at them stand for, that time multiplied by their utilization,
   * and what memory they had at the last look (UINT64_MAX: not known). */
  uint64_t gpu_time_ns, gpu_busy_ns, gpu_memory_bytes;
  uint64_t rss_looks, rss_look[RF_RSS_LOOKS]; /* how often the sampler looked at resident memory, and what it
                                                 saw last, in a ring */
  int64_t monotonic_offset_ns; /* what the process's time namespace adds to every *_monotonic_ns here */
  /* By enum rf_clock_mode: what reading that clock adds to a timed duration besides probe_inside_cycles, in
   * picoseconds. */
  uint64_t clock_inside_ps[4];
};
_Static_assert(sizeof(struct rf_header) <= RF_HEADER_BYTES, "the header has outgrown its page");

struct rf_chunk {
  rf_ref next;
  uint32_t kind; /* enum rf_table */
  uint32_t entry_bytes, capacity;
  uint32_t count; /* published entries */
  uint32_t reserved;
  uint64_t last; /* in a chain's first chunk: its last one, for the writer alone. Entries start 32 bytes in */
};
_Static_assert(sizeof(struct rf_chunk) == 32, "entries start 32 bytes in");

/* A string: length, bytes, NUL. */
struct rf_string {
  uint32_t length;
  char bytes[];
};

struct rf_option_entry {
  rf_ref key, value, origin;
};
struct rf_fact_entry {
  rf_ref key, value;
}; /* keys: hostname kernel cpu_model cpu_count memory_bytes exe argv (repeated) refunc_version cwd heap.mode
      heap.allocator ... */
struct rf_skipped_entry {
  rf_ref name, module, reason;
};
struct rf_unmatched_entry {
  rf_ref pattern, reason, nearest;
}; /* nearest: names separated by newlines */

enum rf_clock_mode { RF_CLOCK_PERF_COUNTER, RF_CLOCK_WALL, RF_CLOCK_PROCESS, RF_CLOCK_THREAD };

struct rf_function_entry {
  rf_ref name;      /* as in the symbol table */
  rf_ref demangled; /* 0: same as name */
  rf_ref aliases;   /* other names of the same code, separated by newlines; 0: none */
  rf_ref module;    /* base name */
  rf_ref module_path;
  uint32_t mode; /* enum rf_clock_mode: the unit of durations is cycles for perf_counter, else nanoseconds */
  uint64_t module_offset; /* of the function, from the module's load address */
  uint64_t size;
  uint8_t build_id[20];
  uint32_t build_id_bytes;
  uint32_t flags; /* enum rf_function_flag */
  uint32_t reserved;
};
enum rf_function_flag {
  RF_FUNCTION_HEAP = 1,
  RF_FUNCTION_SYSTEM = 2,
  RF_FUNCTION_REMOVED = 4,
  RF_FUNCTION_UNLOADED = 8,
  RF_FUNCTION_BLOCK = 16, /* a named block of refunc.h: no code, no self time; its module is "refunc.h" */
  RF_FUNCTION_SLOTS = 32  /* only calls that come through slots (PLT, GOT) are seen, counted and timed */
};

#define RF_HEAP_CLASSES 48 /* size classes: class k holds sizes in (2^(k-1), 2^k], class 0 sizes 0 and 1 */

struct rf_heap_counters {
  uint64_t alloc_calls, free_calls;
  uint64_t requested_bytes;         /* what was asked for */
  uint64_t alloc_bytes, free_bytes; /* what the allocator handed out and got back */
  uint64_t realloc_calls, failed_calls;
  uint64_t mmap_bytes, munmap_bytes;    /* the app's own calls */
  uint64_t size_class[RF_HEAP_CLASSES]; /* allocations by requested bytes */
};

/*
 * One thread at a time owns an entry; when it has ended the next new thread takes it over, so that thousands
 * of short threads need few entries. Counters go on.
 */
struct rf_thread_entry {
  uint32_t tid;
  uint32_t generation; /* how many threads owned it */
  rf_ref slots;        /* chunk chain of RF_TABLE_SLOT */
  uint32_t alive;
  char name[16];
  int64_t heap_folded;                 /* the part of its live bytes that the header's sum knows */
  int64_t heap_high;                   /* its highest live bytes since that was told */
  uint64_t sent_bytes, received_bytes; /* by the interposed socket calls */
  rf_ref site_parts;                   /* chunk chain of RF_TABLE_SITE_PART */
  rf_ref countdowns; /* uint64_t by function id: one more than the calls that will be merely counted before
                        the next timed one */
  uint32_t countdown_count; /* how many there are */
  uint64_t reserved[3];
  struct rf_heap_counters heap;
};

/*
 * Durations of one function on one thread, in cycles (or ns, by mode), with the log-linear histogram of
 * base/histogram.h: octaves are arrays of RF_SUBBUCKETS uint64_t, made on demand.
 *
 * Under timing.budget a timed call stands for the expected number of calls between it and the timed one
 * before, itself included: its weight, chosen before the call. Sums, squares and the histogram are weighted;
 * they are unbiased whatever changed over time. Calls = entered + counted - (countdown - 1, where above 0):
 * counted is announced ahead, so that a merely counted call costs one decrement.
 */
#define RF_ROOMS 8
struct rf_slot {
  uint32_t function;                /* id */
  uint32_t threads;                 /* how many of the entry's owners called it */
  uint64_t entered;                 /* calls that were timed from their entry on */
  uint64_t counted;                 /* calls announced to be merely counted */
  uint64_t durations;               /* recorded durations: returned, or unwound with a known end */
  uint64_t unwound;                 /* left by an exception, longjmp, cancellation, ... */
  uint64_t sum;                     /* of all recorded durations; what is carried over 2^64 is in sum_high */
  uint64_t sum_outer;               /* the same, recursion counted once: signed, since what is known to lie
                                       inside of others may come off first */
  uint64_t sum_self;                /* without traced callees */
  uint64_t square_low, square_high; /* 128-bit sum of squares; at most sum times max, so it cannot overflow */
  uint64_t min, max;                /* min starts at UINT64_MAX */
  uint64_t sum_children; /* of traced callees that could not be taken off single calls: not in sum_self yet */
  uint32_t depth;        /* calls in flight */
  uint32_t next; /* of the next timed call: low byte its record's flags, above it its weight; 0 means 1 */
  uint64_t weights,
      weight_squares; /* sums over the recorded durations; weights = durations when every call is timed */
  uint64_t last_exit,
      spacing; /* the writer's: when a call was last timed, and smoothed time from call to call, in cycles */
  uint64_t lost_children; /* of sum: the part whose traced caller is not known, so it is missing in some
                             sum_children */
  uint64_t heap_alloc_calls, heap_requested_bytes, heap_alloc_bytes, heap_free_bytes;
  int64_t heap_peak_bytes;
  uint64_t cpu_ns, faults, switches, read_bytes, write_bytes, sent_bytes, received_bytes, peak_rss_bytes;
  rf_ref octave[RF_OCTAVES];
  /* Refunc's own cost at its calls, beyond timing, in cycles: of rules, spans and kept calls
   * (validate/cost.h); of what is measured besides time (heap, system). */
  uint64_t rules_cycles, measured_cycles;
  uint32_t cost_gap,
      cost_weight;   /* calls before the next one whose rules are timed, and what that stands for */
  uint64_t sum_high; /* deep recursion, and many spans in flight, take more than 2^64 cycles in a few days */
  uint64_t inner_weights; /* of weights: calls made by their own function, which are not in sum_outer */
  uint64_t
      room[RF_ROOMS]; /* the writer's: time in long gaps that calls merely counted may have taken, cycles */
  uint64_t gpu_time_ns, gpu_busy_ns; /* system: looks at the GPUs while it ran, as in the header */
  uint64_t unwound_weights,
      endless_weights; /* sums over the unwound calls; over those of them without a duration */
  uint64_t uncounted;  /* the last duration's: its bucket plus 1, above that (<< 32) its weight; 0: none */
  /* The writer's, of a function with a budget of its own (share in 1/65536): what its probes took in the
   * window that began, and the least time between two that are timed; cycles. See trace/pace.h. */
  uint64_t own_share, own_start, own_cost, own_interval;
  /* Of what walks moved out of sum_outer, each in units of 1,024 cycles: how far chance may have it off. */
  uint64_t moved_squares;
};

/* What is still to be added to the histogram: a weight, 0 where there is nothing, and its bucket. */
struct rf_uncounted {
  uint64_t weight;
  struct rf_bucket bucket;
};
static inline struct rf_uncounted rf_slot_uncounted(const struct rf_slot *slot) {
  uint64_t last = __atomic_load_n(&slot->uncounted, __ATOMIC_ACQUIRE);
  uint32_t number = (uint32_t)last - 1;
  if (number >= RF_OCTAVES * RF_SUBBUCKETS) return (struct rf_uncounted){0};
  return (struct rf_uncounted){last >> 32, {number / RF_SUBBUCKETS, number % RF_SUBBUCKETS}};
}

/* Of all recorded durations. */
static inline unsigned __int128 rf_slot_sum(const struct rf_slot *slot) {
  return (unsigned __int128)slot->sum_high << 64 | slot->sum;
}
static inline unsigned __int128 rf_slot_squares(const struct rf_slot *slot) {
  return (unsigned __int128)slot->square_high << 64 | slot->square_low;
}

struct rf_edge_entry {
  uint32_t thread, caller, callee, sum_high; /* sum_high: carried from sum */
  uint64_t calls, sum;
};

/* What the sampler measures. Rates are per second over the sampling interval. */
enum rf_metric {
  RF_METRIC_CPU_PROCESS,     /* ratio: cores used by the process, Refunc's own threads taken out */
  RF_METRIC_CPU_SYSTEM,      /* ratio of all cores in use on the machine, 0 to 1 */
  RF_METRIC_RSS,             /* bytes */
  RF_METRIC_MAJOR_FAULTS,    /* per second */
  RF_METRIC_MINOR_FAULTS,    /* per second */
  RF_METRIC_READ,            /* bytes per second from storage */
  RF_METRIC_WRITE,           /* bytes per second to storage */
  RF_METRIC_NET_SENT,        /* bytes per second, the network namespace */
  RF_METRIC_NET_RECEIVED,    /* bytes per second */
  RF_METRIC_THREADS,         /* the app's threads */
  RF_METRIC_GPU_UTILIZATION, /* ratio, all devices the process uses */
  RF_METRIC_GPU_MEMORY, /* bytes of GPU memory of the process, or of the device where that is all there is */
  RF_METRIC_HEAP_LIVE,  /* bytes */
  RF_METRICS = 16
};

/* One point of the timeline. NaN: not measured. When the table is full, neighbours are joined and the
 * interval doubles. */
struct rf_sample_entry {
  double time_s;              /* since the process's start, middle of the interval */
  double length_s;            /* what it spans */
  float value[RF_METRICS][3]; /* min, mean, max */
};
#define RF_TIMELINE_POINTS 600

struct rf_system_entry {
  double interval_s;
  uint64_t samples;
  struct {
    double sum, weight, max, min;
  } metric[RF_METRICS];        /* sum: value times seconds, weight: seconds */
  uint32_t cpu_histogram[256]; /* process CPU ratio in steps of 1/16 core, for its p95 */
  /* Totals over the process's life, from the kernel's own counters; a set bit n in missing says field n is
   * unknown. */
  uint64_t user_ns, sys_ns, voluntary_switches, involuntary_switches, run_delay_ns, throttled_ns;
  uint64_t major_faults, minor_faults, peak_rss_bytes, pss_bytes, cgroup_limit_bytes, rss_alerts;
  uint64_t read_bytes, write_bytes, read_chars, write_chars, read_calls, write_calls;
  uint64_t net_sent_bytes, net_received_bytes; /* namespace, since the start */
  uint64_t missing;        /* bit n: the n-th uint64_t counted from user_ns is not known */
  rf_ref current_timeline; /* root of the RF_TABLE_SAMPLE chain that is valid now (joining writes a second one
                              and switches) */
  uint32_t reserved;
};

struct rf_gpu_entry {
  rf_ref name, scope; /* scope: process, device */
  double utilization_sum, utilization_weight, utilization_max;
  double memory_sum, memory_weight, memory_max;
  double energy_j, power_w, temperature_c; /* NaN: not measured */
  uint64_t samples;
};

/* A mapped module; of several that cover an address the latest that lies before the stack's node is meant. */
struct rf_module_entry {
  rf_ref path;
  uint32_t build_id_bytes;
  uint64_t start, end;   /* what its executable segments span */
  uint64_t load_address; /* what is taken from an address to get the file's virtual address */
  uint8_t build_id[20];
  uint32_t reserved;
};

/*
 * Call stacks are a tree: a node is a return address and the node of the frame outside it. Two stacks that
 * differ in their innermost frame share all other nodes.
 */
struct rf_stack_node {
  rf_ref
      parent; /* RF_STACK_END: this is the outermost frame; RF_STACK_CUT: frames outside it were left out */
  uint32_t site; /* number of the site (from 1) whose stack begins here; 0: none */
  uint64_t address;
};
#define RF_STACK_END 0u
#define RF_STACK_CUT 1u

/* What allocated with one call stack: sums are in the threads' parts. */
struct rf_site_entry {
  rf_ref stack;   /* rf_stack_node of the innermost frame; RF_STACK_END: stacks that could not be recorded */
  uint32_t flags; /* enum rf_site_flag */
  int64_t folded_bytes; /* live bytes folded in by the threads */
  int64_t peak_bytes;   /* highest folded value; the reader adds what the threads had on top */
  rf_ref history;       /* rf_site_history, once it is watched for growth */
  uint32_t reserved;
  uint64_t lost_blocks, lost_bytes; /* live at the end, and nothing reachable points to them */
};
enum rf_site_flag {
  RF_SITE_SAMPLED = 1,
  RF_SITE_CHECKED = 2, /* lost_* are known */
};

/*
 * One site on one thread: written by that thread alone. Bytes are what the allocator handed out; in a sampled
 * recording each sample of Z bytes stands for Z/p bytes and 1/p calls, p = 1 - exp(-Z / interval), and calls
 * are in units of 1/1024. Blocks are freed in the part of the thread that frees them, so a part's live bytes
 * may be negative.
 */
struct rf_site_part {
  uint32_t site; /* number, from 1 */
  uint32_t flags;
  uint64_t alloc_calls, requested_bytes, alloc_bytes, free_calls, free_bytes;
  uint64_t temporary_calls; /* freed before the thread's next allocation */
  int64_t folded, high;     /* as in rf_thread_entry */
  int64_t at_peak_bytes; /* live bytes at the process's peak, if epoch is the header's; else they are the same
                            as now */
  uint64_t epoch;
  double lifetime_ticks; /* of the freed blocks whose lives were measured, in RF_TICK_CYCLES cycles */
  double lifetimes;      /* how many those were */
  double variance_bytes; /* of the estimate of alloc_bytes; 0: exact */
};
#define RF_SITE_CALL_SCALE 1024u
#define RF_TICK_CYCLES 4096u

/* Live bytes of a site over time, for trends. Full: every second point is dropped and the distance doubles.
 */
#define RF_HISTORY_POINTS 64
struct rf_site_history {
  uint32_t count, every; /* every: sampler looks between two points */
  float time_s[RF_HISTORY_POINTS], live_bytes[RF_HISTORY_POINTS];
};

/* A number of the app. kind 0 int64_t, 1 uint64_t, 2 a double's bits, 3 an extended double (bits: mantissa).
 */
struct rf_recorded_number {
  uint64_t bits;
  uint16_t exponent;
  uint8_t kind, known;
  uint32_t reserved;
};

enum rf_example_flag {
  RF_EXAMPLE_INDEX = 1,      /* index is of the first bad element */
  RF_EXAMPLE_UNREADABLE = 2, /* address can't be read */
  RF_EXAMPLE_ENDLESS = 4,    /* a string without an end */
  RF_EXAMPLE_TEXT = 8,       /* text is the beginning of the string, index its length */
  RF_EXAMPLE_MESSAGE = 16    /* text is what the validator said */
};

#define RF_CALL_DEPTH 32

struct rf_violation_example {
  uint64_t cycles; /* when */
  uint32_t tid, flags;
  struct rf_recorded_number value;
  uint64_t index, address;
  rf_ref text;
  uint32_t depth;
  uint64_t stack[RF_CALL_DEPTH]; /* return addresses, the function's caller first */
};

#define RF_EXAMPLES 5

/* One rule of one function. */
struct rf_violation_entry {
  uint32_t function;
  rf_ref parameter, rule;
  uint32_t claimed;            /* examples that were begun */
  uint64_t count;              /* calls that violated it */
  uint64_t unchecked;          /* calls in which it could not be looked at */
  rf_ref example[RF_EXAMPLES]; /* 0: none (yet) */
  uint32_t reserved;
};

struct rf_span_entry {
  rf_ref name, begin, end; /* begin, end: as configured */
  uint32_t reserved;
  uint64_t in_flight, in_flight_max;
  uint64_t duplicate_keys, unmatched_ends,
      dropped;         /* dropped: begins beyond the most in flight, keys that could not be read */
  struct rf_slot slot; /* durations in cycles; all threads add to it */
};

#define RF_KEPT_CALLS 100
#define RF_KEPT_ARGUMENTS 8

/* One of the slowest calls of a function; duration 0: none. In cycles (or ns, by the function's mode). */
struct rf_kept_call {
  uint64_t duration, cycles; /* cycles: when it ended */
  uint32_t tid, depth;
  struct rf_recorded_number argument[RF_KEPT_ARGUMENTS];
  uint64_t stack[RF_CALL_DEPTH];
};

struct rf_kept_entry {
  uint32_t function;
  rf_ref names;             /* of the arguments, separated by newlines */
  uint64_t threshold, seen; /* calls that took longer than threshold */
  rf_ref calls;             /* RF_KEPT_CALLS times rf_kept_call, in no order; 0: none yet */
  uint32_t reserved;
};
