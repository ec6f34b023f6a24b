/* The time stamp counter: about 10 to 20 ns a read, the same on every core where the kernel trusts it as its
 * clock. */
#pragma once

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>

static inline uint64_t rf_cycles(void) {
  uint32_t low, high;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
  return (uint64_t)high << 32 | low;
}

static inline void rf_cpu_relax(void) { __asm__ volatile("pause"); }

/* Whether the counter runs at one rate whatever the core's state is (CPUID 80000007h, EDX bit 8). */
static inline bool rf_cycles_invariant(void) {
  uint32_t a, b, c, d = 0;
  return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & 1u << 8);
}
