/* How much room vectors.S needs. */
#include <cpuid.h>

#include "arch/x86_64/vectors.h"

uint32_t rf_vector_bytes;

void rf_vectors_measure(void) {
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) return; /* no xsave, or not enabled */
  if (__get_cpuid_count(0xd, 0, &a, &b, &c, &d)) rf_vector_bytes = b;
}
