/* The part of thread_clock.c that needs floating point. */
#include "trace/thread_clock.h"

void rf_thread_clock_start(double cycles_per_second, bool usable) {
  rf_nanoseconds_per_cycle = usable ? (uint64_t)(1e9 / cycles_per_second * 4294967296.0) : 0;
}
