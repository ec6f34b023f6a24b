/* The process's mappings as /proc/self/smaps tells them, read with raw system calls and without allocating.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_mapping {
  uintptr_t start, end;
  uint64_t rss_bytes, swap_bytes, anonymous_bytes;   /* anonymous: pages that are this process's alone */
  bool readable, writable, executable, shared, file; /* file: with an inode */
  bool own;                                          /* Refunc's: marked as left out of core dumps */
  bool special;                                      /* reading it may wait for others or reach a device */
  char name[64]; /* its beginning: "[heap]", "[stack]", a path; "" for none */
};

/* Visits every mapping, in order; false: it could not be read. Cost: about 1 us a mapping and 10 ns a
 * resident page. */
bool rf_smaps_visit(void (*visit)(void *user, const struct rf_mapping *mapping), void *user);
