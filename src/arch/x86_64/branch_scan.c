/* See branch_scan.h. Calls are left out: they go to beginnings. */
#include "arch/x86_64/branch_scan.h"

#include <string.h>

static inline int short_branch(uint8_t byte) {
  return (byte & 0xf0) == 0x70 || byte == 0xeb || (byte & 0xfc) == 0xe0; /* jcc, jmp, loopne loope loop jrcxz */
}

static inline size_t long_target(const uint8_t *text, size_t at) {
  int32_t distance;
  memcpy(&distance, text + at, sizeof distance);
  return at + sizeof distance + (size_t)(intptr_t)distance;
}

void rf_branch_scan(const struct rf_scan_range *range, const uint64_t *targets, size_t target_count,
                    void (*hit)(void *user, size_t from, size_t to), void *user) {
  const uint8_t *text = range->text;
  for (size_t at = range->from; at + 6 < range->to; at++) {
    uint8_t byte = text[at];
    size_t to;
    if (short_branch(byte)) to = at + 2 + (size_t)(intptr_t)(int8_t)text[at + 1];
    else if (byte == 0xe9) to = long_target(text, at + 1);
    else if (byte == 0x0f && (text[at + 1] & 0xf0) == 0x80) to = long_target(text, at + 2);
    else continue;
    if (to < target_count && (targets[to / 64] >> (to % 64) & 1)) hit(user, at, to);
  }
}
