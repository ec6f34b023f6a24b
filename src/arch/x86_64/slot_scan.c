/* See slot_scan.h. The forms are call [rip+d] (ff 15) and jmp [rip+d] (ff 25), 16 bytes at a time. */
#include "arch/x86_64/slot_scan.h"

#include <emmintrin.h>
#include <string.h>

#define STEP 16u
#define LENGTH (2 + RF_SLOT_OPERAND)

static inline __m128i equal(__m128i bytes, uint8_t value) {
  return _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)value));
}

static bool goes_through(const uint8_t *code) {
  return code[0] == 0xff && (code[1] == 0x15 || code[1] == 0x25);
}

static uintptr_t place_of(const uint8_t *operand) {
  int32_t distance;
  memcpy(&distance, operand, sizeof distance);
  return (uintptr_t)operand + sizeof distance + (uintptr_t)(intptr_t)distance;
}

void rf_slot_scan(const uint8_t *text, size_t bytes, uintptr_t low, uintptr_t high,
                  void (*hit)(void *user, uintptr_t operand, uintptr_t slot), void *user) {
  size_t end = bytes >= LENGTH ? bytes - LENGTH + 1 : 0;
  for (size_t at = 0; at < end; at += STEP) {
    unsigned found = (1u << STEP) - 1;
    if (at + STEP + 1 <= bytes) {
      __m128i here = _mm_loadu_si128((const __m128i *)(const void *)(text + at));
      __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(text + at + 1));
      __m128i both = _mm_and_si128(equal(here, 0xff), _mm_or_si128(equal(next, 0x15), equal(next, 0x25)));
      found = (unsigned)_mm_movemask_epi8(both);
    }
    for (; found; found &= found - 1) {
      size_t from = at + (unsigned)__builtin_ctz(found);
      if (from >= end || !goes_through(text + from)) continue;
      uintptr_t place = place_of(text + from + 2);
      if (place - low < high - low) hit(user, (uintptr_t)text + from + 2, place);
    }
  }
}

/* Each entry of the PLT pushes its index, or (mold) has it in r11 and all go by the same header, which pushes
 * that. */
bool rf_slot_binds(const uint8_t *code, size_t bytes, size_t index) {
  uint32_t pushed;
  if (bytes < 16) return false;
  if (!memcmp(code, "\xf3\x0f\x1e\xfa", 4)) code += 4;   /* endbr64 */
  if (!memcmp(code, "\x41\x53\xff\x35", 4)) return true; /* push r11; push [rip+d] */
  memcpy(&pushed, code + 1, sizeof pushed);
  return code[0] == 0x68 && pushed == index; /* push */
}
