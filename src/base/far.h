/*
 * Where Refunc's large reservations of address space go: well away from the app's libraries. The kernel's own
 * choice is the first gap below them, which is what stubs need (patch/near.h), and what the app's next
 * libraries do.
 */
#pragma once

#include <stdint.h>

/* A hint for mmap, no more: so many GB below this library; 0 where it lies too low for that. Each caller has
 * its own number. Cost: none. */
static inline uintptr_t rf_far_hint(unsigned gigabytes) {
  static const char here;
  const uintptr_t distance = (uintptr_t)gigabytes << 30, page = 4096;
  uintptr_t at = (uintptr_t)&here;
  return at > 2 * distance ? (at - distance) & ~(page - 1) : 0;
}
