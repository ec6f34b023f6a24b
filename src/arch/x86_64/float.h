/*
 * The floating-point environment of a fresh process, for Refunc's own arithmetic on an app's thread: the app
 * may have exceptions unmasked (a NaN of ours would kill it), another rounding, and flags that it will look
 * at.
 */
#pragma once

#include <stdint.h>

/* Returns what was, flags included; give that to rf_float_restore. Cost: some 10 cycles. */
static inline uint32_t rf_float_reset(void) {
  uint32_t before, fresh = 0x1f80;
  __asm__ volatile("stmxcsr %0" : "=m"(before));
  __asm__ volatile("ldmxcsr %0" : : "m"(fresh) : "memory");
  return before;
}

static inline void rf_float_restore(uint32_t before) {
  __asm__ volatile("ldmxcsr %0" : : "m"(before) : "memory");
}
