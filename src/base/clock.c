/* See clock.h. The calibration is refined for as long as the process runs: the longer the base line, the
 * smaller the error. */
#include "base/clock.h"

#include <time.h>

#include "arch/arch.h"

static int64_t read_clock(clockid_t clock) {
  struct timespec now;
  return rf_syscall(SYS_clock_gettime, clock, &now) < 0 ? 0 : now.tv_sec * 1000000000ll + now.tv_nsec;
}

int64_t rf_monotonic_ns(void) { return read_clock(CLOCK_MONOTONIC); }
int64_t rf_realtime_ns(void) { return read_clock(CLOCK_REALTIME); }
int64_t rf_thread_cpu_ns(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }
int64_t rf_process_cpu_ns(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

bool rf_clock_cycles_usable(void) { return rf_cycles_invariant(); }

/* The tightest of several pairs: a preemption between the two reads would skew the rate. */
static void read_pair(uint64_t *cycles, int64_t *ns) {
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < 5; i++) {
    uint64_t before = rf_cycles();
    int64_t now = rf_monotonic_ns();
    uint64_t after = rf_cycles();
    if (after - before >= best) continue;
    best = after - before;
    *cycles = before + best / 2;
    *ns = now;
  }
}

double rf_clock_calibrate(void) {
  uint64_t c0 = 0, c1 = 0;
  int64_t t0 = 0, t1 = 0;
  read_pair(&c0, &t0);
  do read_pair(&c1, &t1);
  while (t1 - t0 < 300000);
  return (double)(c1 - c0) * 1e9 / (double)(t1 - t0);
}

double rf_clock_refine(uint64_t cycles0, int64_t ns0, uint64_t cycles1, int64_t ns1, double estimate) {
  if (ns1 - ns0 < 10000000 || cycles1 <= cycles0) return estimate;
  double rate = (double)(cycles1 - cycles0) * 1e9 / (double)(ns1 - ns0);
  /* A suspended or migrated machine may have stopped one of the two clocks: then the first estimate is the
   * better one. */
  return rate > estimate * 0.99 && rate < estimate * 1.01 ? rate : estimate;
}
