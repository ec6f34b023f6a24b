/*
 * Calls that are measured by more than the time stamp counter: another clock (timing.mode), their heap
 * (heap.per_function), what the kernel says of them (system.per_function). Their stubs lead to rf_enter_full,
 * which calls rf_full_enter once the record is filled; rf_exit calls rf_full_exit. Between the two, snapshots
 * lie in a struct rf_extra beside the record. Compiled with general registers only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/entry.h"
#include "base/thread.h"
#include "recording/format.h"
#include "trace/clocks.h"
#include "trace/thread_clock.h"

/* What is measured of a function's calls, besides time, and how often. Set before it is patched; read-only
 * then. */
struct rf_full {
  enum rf_clock_mode mode;
  uint32_t flags;        /* RF_FUNCTION_HEAP, RF_FUNCTION_SYSTEM */
  uint32_t own_share;    /* its own budget, in 1/RF_PACE_ONE; 0: timing.budget holds for it */
  bool every_call;       /* asked for this very function: timed at every call, whatever the budget */
  uint32_t clock_cycles; /* what its clock's two readings cost; rf_full_set fills it in */
  const void *checker;   /* rules and the like: struct rf_checker of src/validate; NULL: none */
};

/* Makes id a function with a full measurement; full is copied. false without memory. */
bool rf_full_set(uint32_t id, const struct rf_full *full);

/* What two readings of a mode's clock at a call cost, measured once a mode (in 30 us with the CPU's clocks)
 * and written to the recording: cycles altogether, and the nanoseconds of them that get into the duration. */
struct rf_clock_cost {
  uint32_t cycles;
  uint64_t inside_ps;
};
struct rf_clock_cost rf_full_clock_cost(enum rf_clock_mode mode);
/* In a child's new recording. */
void rf_full_record_costs(void);

/* Finds the kernel's fast clock (vDSO); without it clocks are read by system calls. Once, before functions
 * are patched. */
void rf_full_start(void);

/* Ends the measurement of a call: adds to its slot; the clock's reading that counts as its end is left in
 * record->body. now: the time stamp counter's. */
RF_PRESERVE_ALL void rf_full_exit(struct rf_record *record, uint64_t now);
/* Whether nothing but the time stamp counter is read at its calls; then rf_full_enter can be left out. */
static inline bool rf_full_is_clock_alone(uint32_t id) {
  const struct rf_full *full = rf_sites[id].extra;
  return !full->flags && full->mode == RF_CLOCK_PERF_COUNTER;
}
/* Before it is called for the first time. */
static inline void rf_full_set_checker(uint32_t id, const void *checker) {
  ((struct rf_full *)rf_sites[id].extra)->checker = checker;
}
/* Of a function with a full measurement. */
static inline const void *rf_full_checker(uint32_t id) {
  return ((const struct rf_full *)rf_sites[id].extra)->checker;
}
/* What a clock says when the cycle counter says now. */
static inline uint64_t rf_full_read_clock(enum rf_clock_mode mode, uint64_t now) {
  if (mode == RF_CLOCK_PERF_COUNTER) return now;
  return mode == RF_CLOCK_THREAD ? rf_thread_clock_read(rf_tls.self, now) : rf_clock_read(mode);
}
/* The clock of a function's mode. */
uint64_t rf_full_clock(uint32_t id, uint64_t now);
/* A call is given up without an end: what nests is put back in order. */
void rf_full_drop(struct rf_record *record);
