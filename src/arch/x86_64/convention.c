/* See convention.h. */
#include "arch/x86_64/convention.h"

#include "arch/x86_64/decode.h"

enum { BYTES_MAX = 1 << 16 };

bool rf_breaks_convention(const uint8_t *code, size_t bytes) {
  bool copied = false; /* to another register: kept if it is changed later, an argument if not */
  if (bytes > BYTES_MAX) bytes = BYTES_MAX;
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
