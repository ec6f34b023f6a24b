/*
 * Clocks. Durations are kept in cycles of the time stamp counter, calibrated against CLOCK_MONOTONIC; where
 * the kernel does not trust it (clocksource other than tsc), rf_clock_cycles_usable() says no and nanoseconds
 * of clock_gettime take its place.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

int64_t rf_monotonic_ns(void); /* raw system call: any thread, signal-safe; ~60 to 200 ns */
int64_t rf_realtime_ns(void);
int64_t rf_thread_cpu_ns(void);
int64_t rf_process_cpu_ns(void);

/* Whether the CPU has an invariant counter. Cost: a few cpuid, once. */
bool rf_clock_cycles_usable(void);

/* A first estimate of cycles per second, from cpuid or a calibration of about 0.3 ms; then better ones with
 * time from the two given moments. Never 0. */
double rf_clock_calibrate(void);
double rf_clock_refine(uint64_t cycles0, int64_t ns0, uint64_t cycles1, int64_t ns1, double estimate);
