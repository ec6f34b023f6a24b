/*
 * GPUs: a table of vendors, each used once the app itself has loaded a library of its driver.
 *
 *   nvidia  NVML, by dlopen, on a real thread: its calls can take milliseconds, hold locks, allocate
 *   drm     AMD, Intel and others: /proc/self/fdinfo and /sys, on the sampler's thread
 *
 *   vendor ──▶ rf_gpu_track (one a device) ──▶ rf_gpu_entry in the recording
 *          └─▶ rf_gpu_use, summed over devices ──▶ the timeline
 */
#pragma once

#include "sample/reading.h"
#include "sample/sampler.h"

/* A moment's use of the devices that the process uses, or of all devices where that can't be told. NaN: not
 * known. */
struct rf_gpu_use {
  double utilization, memory_bytes;
};

struct rf_gpu_vendor {
  const char *name;
  const char *const *libraries; /* beginnings of file names; NULL at the end */
  /* On an app thread. NULL where there is nothing to start. */
  void (*start)(int64_t interval_ns);
  void (*ask_stop)(void);            /* soon; does not wait */
  void (*stop)(int64_t deadline_ns); /* waits until then (CLOCK_MONOTONIC) */
  void (*forget)(void);
  /* On the sampler's thread: adds its devices' use of now. False: nothing known. */
  bool (*read)(struct rf_reading *reading, struct rf_gpu_use *use);
  /* Refunc's own threads of it that live, and what they used so far. */
  uint32_t (*own)(struct rf_own *own);
};

extern const struct rf_gpu_vendor rf_gpu_nvml, rf_gpu_drm;
#define RF_GPU_VENDORS 2
extern const struct rf_gpu_vendor *const rf_gpu_vendors[RF_GPU_VENDORS];

/* Lifecycle, from sampler.c, on app threads. */
void rf_gpu_start(enum rf_auto mode, int64_t interval_ns);
void rf_gpu_ask_stop(void);
void rf_gpu_stop(int64_t deadline_ns);
void rf_gpu_forget(void);
/* Whether the vendor of that index is in use. No libc: any thread. */
bool rf_gpu_in_use(unsigned vendor);
uint32_t rf_gpu_own(struct rf_own *own);

/* The first reason why a vendor could not answer; a string that lives for ever. Any thread. */
void rf_gpu_say_why(const char *reason);
const char *rf_gpu_why(void);

/* One device's figures over its life; the recording's entry is made when it is first written. */
struct rf_gpu_track {
  struct rf_gpu_entry *entry;
  const char *scope;
  double utilization_sum, utilization_weight, utilization_max;
  double memory_sum, memory_weight, memory_max;
  uint64_t samples;
};
void rf_gpu_track_add(struct rf_gpu_track *track, double utilization, double memory_bytes, double seconds);
/* Copies a track into its entry of the recording. from: where its entry is taken over from (a device whose
 * scope changes), or NULL. Any thread, no libc. False when the recording is full. */
bool rf_gpu_track_write(struct rf_gpu_track *track, struct rf_gpu_track *from, const char *name,
                        const char *scope);
/* How many devices were written. */
uint32_t rf_gpu_devices(void);
void rf_gpu_track_forget(void);
