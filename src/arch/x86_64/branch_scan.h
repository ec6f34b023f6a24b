/*
 * Finds direct branches by their bytes alone, fast enough for whole modules (about half a ns a byte). What it
 * finds may be the inside of some other instruction: the caller decodes around it to make sure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_scan_range {
  const uint8_t *text; /* what offsets count from */
  size_t from, to;     /* the readable part to look at */
  bool calls;          /* look for call as well */
  bool inside;         /* ... but only for those to an offset behind another one that is set */
};

/* Calls hit for every place in the range whose bytes read as jmp, jcc, loop, jrcxz or call to an offset below
 * target_count that is set in targets (one bit a byte; target_count / 64 + 1 words, in which no bit behind it is set), in the order of these places. Cost: 0.2 ns a byte. */
void rf_branch_scan(const struct rf_scan_range *range, const uint64_t *targets, size_t target_count,
                    void (*hit)(void *user, size_t from, size_t to), void *user);
