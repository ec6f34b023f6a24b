/*
 * The sampler: one background thread that reads CPU, memory, disk, network at an interval, keeps the timeline
 * and the totals in the recording, and writes the recording through every second.
 *
 * It is a raw clone, not a pthread: a second pthread would end glibc's single-thread fast paths in the app
 * for good. So it makes raw system calls only, blocks every signal, touches no TLS (it shares its creator's),
 * no errno, no libc function.
 *
 * Its descriptor table is its own and starts empty, as are its root and current directory: the app's
 * descriptor numbers never change, a pipe that the app closes is closed, a file system that it leaves can be
 * unmounted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"

struct rf_sampler_plan {
  int64_t interval_ns;
  bool cpu, memory, disk, network;
  enum rf_auto gpu;
  bool system;              /* false: only the recording's flush runs, once a second */
  uint64_t rss_alert_bytes; /* 0: none */
  void (*want_look)(void);  /* at ticks, 20 times a second at most, on the sampler's thread; may be NULL */
  const char *proc_root, *sys_root; /* "/proc", "/sys"; tests point elsewhere. Must outlive the sampler */
};

/*
 * Starts the thread, once rf_recording_create() has succeeded. 0 or a negative errno (then the reason is
 * recorded under "system" and totals are still taken at the end). May be called again after stop (a failed
 * exec): the timeline goes on. Not signal-safe; one caller at a time, as for all of start, stop, retire and
 * forget. Cost: about 100 us.
 */
int rf_sampler_start(const struct rf_sampler_plan *plan);

/* Ends it and waits for it (bounded: 200 ms), then takes the last totals. Called with the process's exit and
 * before exec. */
void rf_sampler_stop(void);

/* The thread's number; 0: there is none. */
uint32_t rf_sampler_tid(void);

/* Before the app drops privileges: ends the thread at once; totals are still taken at the end, on the thread
 * that calls stop. Bounded: 1 s. */
void rf_sampler_retire(const char *why);

/* Before the app installs a seccomp filter, which may kill for any system call: ends all threads of the
 * sampler, takes the last totals now; rf_sampler_stop makes no system call any more. Bounded: 1.2 s. */
void rf_sampler_seal(const char *why);

/* In a forked child: the thread is not here. */
void rf_sampler_forget(void);

/*
 * Called on an app thread when a module appeared, with its path or base name: starts the GPU part once a GPU
 * driver's library is among them. May come before rf_sampler_start. Creates a pthread, so it is not
 * signal-safe.
 */
void rf_sampler_module_loaded(const char *name);

/* How often RSS has crossed the alert so far. Any thread, signal-safe. */
uint32_t rf_sampler_alerts(void);

/* Replaces the RSS alert's threshold (0: none) while the sampler runs. Any thread, signal-safe. */
void rf_sampler_set_rss_alert(uint64_t bytes);

/* Sleeps until rf_sampler_alerts() differs from seen or timeout_ns has passed, and returns it. For the thread
 * that runs the app's alert callbacks: the sampler's own thread can't, it has no TLS. */
uint32_t rf_sampler_await_alert(uint32_t seen, int64_t timeout_ns);
