/*
 * The sampler: one background thread that reads CPU, memory, disk, network at an interval, keeps the timeline and the
 * totals in the recording, and writes the recording through every second.
 *
 * It is a raw clone, not a pthread: a second pthread would end glibc's single-thread fast paths in the app for good. So it
 * makes raw system calls only, blocks every signal, touches no TLS (it shares its creator's), no errno, no libc function.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_sampler_plan {
  int64_t interval_ns;
  bool cpu, memory, disk, network;
  bool system; /* false: only the recording's flush runs, once a second */
  uint64_t rss_alert_bytes; /* 0: none */
  const char *proc_root, *sys_root; /* "/proc", "/sys"; tests point elsewhere */
};

/* Starts the thread; 0 or a negative errno (then the reason is recorded under "system" and totals are still taken at the end). */
int rf_sampler_start(const struct rf_sampler_plan *plan);
/* Ends it and waits for it (bounded: 200 ms), then takes the last totals. Called with the process's exit and before exec. */
void rf_sampler_stop(void);
/* Before the app drops privileges or installs a seccomp filter: ends the thread at once; totals are still taken at the end. */
void rf_sampler_retire(const char *why);
/* In a forked child: the thread is not here. */
void rf_sampler_forget(void);
/* Called on an app thread when a module appeared: starts the GPU part once a GPU driver's library is among them. */
void rf_sampler_module_loaded(const char *name);
