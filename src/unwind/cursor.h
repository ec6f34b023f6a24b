/* Reads DWARF's encodings from a range of bytes. Past the end everything is 0 and bad is set. Little-endian.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rf_cursor {
  const uint8_t *at, *end;
  bool bad;
};

static inline uint64_t rf_take(struct rf_cursor *from, size_t bytes) {
  uint64_t value = 0;
  if ((size_t)(from->end - from->at) < bytes) {
    from->bad = true;
    from->at = from->end;
    return 0;
  }
  memcpy(&value, from->at, bytes);
  from->at += bytes;
  return value;
}

static inline int64_t rf_take_signed(struct rf_cursor *from, size_t bytes) {
  unsigned unused = 64 - 8 * (unsigned)bytes;
  return (int64_t)(rf_take(from, bytes) << unused) >> unused;
}

static inline uint64_t rf_take_uleb(struct rf_cursor *from) {
  uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    uint8_t byte = (uint8_t)rf_take(from, 1);
    if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
}

static inline int64_t rf_take_sleb(struct rf_cursor *from) {
  uint64_t value = 0;
  for (unsigned shift = 0;;) {
    uint8_t byte = (uint8_t)rf_take(from, 1);
    if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
    shift += 7;
    if (byte & 0x80) continue;
    return byte & 0x40 && shift < 64 ? (int64_t)(value | ~(uint64_t)0 << shift) : (int64_t)value;
  }
}
