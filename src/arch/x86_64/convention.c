/* See convention.h. */
#include "arch/x86_64/convention.h"

#include "arch/x86_64/decode.h"

enum { BYTES_MAX = 1 << 16 };

/* Where the code ends whose symbol gives no size: behind the first instruction that does not go on, if
 * nothing before branches over it. */
static size_t code_end(const uint8_t *code, size_t bytes) {
  uintptr_t start = (uintptr_t)code, furthest = start;
  struct rf_instruction in;
  for (size_t at = 0; at < bytes; at += in.length) {
    if (!rf_decode(code + at, bytes - at, start + at, &in)) return at;
    bool direct = in.flow == RF_FLOW_JUMP || in.flow == RF_FLOW_BRANCH || in.flow == RF_FLOW_LOOP;
    bool leaves = in.flow == RF_FLOW_RETURN || in.flow == RF_FLOW_JUMP ||
                  (in.flow == RF_FLOW_INDIRECT_JUMP && !in.by_table);
    if (direct && in.target - start < bytes && in.target > furthest) furthest = in.target;
    if (leaves && furthest < start + at + in.length) return at + in.length;
  }
  return bytes;
}

bool rf_breaks_convention(const uint8_t *code, size_t bytes, bool exact) {
  bool copied = false; /* to another register: kept if it is changed later, an argument if not */
  if (bytes > BYTES_MAX) bytes = BYTES_MAX;
  if (!exact) bytes = code_end(code, bytes);
  for (size_t at = 0; at < bytes;) {
    size_t length = 0;
    switch (rf_decode_record_use(code + at, bytes - at, &length)) {
    case RF_USE_SAVES: return false;
    case RF_USE_READS: return true;
    case RF_USE_WRITES: return !copied;
    case RF_USE_COPIES: copied = true; break;
    case RF_USE_NONE: break;
    }
    if (!length) return false; /* data among the code */
    at += length;
  }
  return copied;
}
