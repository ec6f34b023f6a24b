/* See label_scan.h. Both look at 16 bytes at a time for the one that is rare. */
#include "arch/x86_64/label_scan.h"

#include <emmintrin.h>
#include <string.h>

#define STEP 16u

static inline __m128i load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)(const void *)at); }

static inline __m128i masked(__m128i bytes, uint8_t mask, uint8_t value) {
  return _mm_cmpeq_epi8(_mm_and_si128(bytes, _mm_set1_epi8((char)mask)), _mm_set1_epi8((char)value));
}

/* lea r64, [rip+disp32]: REX.W 8d modrm */
static unsigned leas(const uint8_t *at) {
  __m128i prefix = masked(load(at), 0xfb, 0x48), opcode = masked(load(at + 1), 0xff, 0x8d),
          modrm = masked(load(at + 2), 0xc7, 0x05);
  return (unsigned)_mm_movemask_epi8(_mm_and_si128(prefix, _mm_and_si128(opcode, modrm)));
}

void rf_label_scan(const struct rf_scan_range *range, void (*found)(void *user, size_t from, size_t to),
                   void *user) {
  for (size_t at = range->from; at + 7 <= range->to; at += STEP) {
    uint8_t last[STEP + 8] = {0}; /* of the range, behind which nothing may be mapped */
    const uint8_t *code = range->text + at;
    if (at + sizeof last > range->to) code = memcpy(last, code, range->to - at);
    for (unsigned left = leas(code); left; left &= left - 1) {
      unsigned i = (unsigned)__builtin_ctz(left);
      int32_t distance;
      memcpy(&distance, code + i + 3, sizeof distance);
      found(user, at + i, at + i + 7 + (size_t)(intptr_t)distance);
    }
  }
}

/* mov or jmp, modrm with SIB, SIB without base and with a scale of 8, before a displacement. */
static bool is_indexed(const uint8_t *displacement) {
  return (displacement[-1] & 0xc7) == 0xc5 && (displacement[-2] & 0xc7) == 0x04 &&
         (displacement[-3] == 0xff || displacement[-3] == 0x8b);
}

/* Bytes in [least, most], as a mask. */
static inline unsigned within(__m128i bytes, uint8_t least, uint8_t most) {
  __m128i above = _mm_sub_epi8(bytes, _mm_set1_epi8((char)least));
  return (unsigned)_mm_movemask_epi8(
      _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8((char)(most - least))), above));
}

/* Addresses in the range differ in their highest byte little, so that is looked at first; and where it is one for all,
 * the one below it, since small numbers have the same. */
void rf_absolute_scan(const struct rf_scan_range *range, uintptr_t low, uintptr_t high,
                      void (*found)(void *user, size_t from, size_t to, bool indexed), void *user) {
  if (low >= high || high > UINT32_MAX || range->to - range->from < STEP + 3) return;
  uint8_t least = (uint8_t)(low >> 24), most = (uint8_t)((high - 1) >> 24);
  uint8_t below_least = least == most ? (uint8_t)(low >> 16) : 0,
          below_most = least == most ? (uint8_t)((high - 1) >> 16) : UINT8_MAX;
  for (size_t at = range->from; at + 4 <= range->to; at += STEP) {
    if (at + STEP + 3 > range->to) at = range->to - STEP - 3; /* some of it again */
    const uint8_t *text = range->text + at;
    unsigned left = within(load(text + 3), least, most) & within(load(text + 2), below_least, below_most);
    for (; left; left &= left - 1) {
      size_t from = at + (unsigned)__builtin_ctz(left);
      uint32_t value;
      memcpy(&value, range->text + from, sizeof value);
      if (value < low || value >= high) continue;
      bool indexed = from >= range->from + 3 && is_indexed(range->text + from);
      found(user, from, value - (uintptr_t)range->text, indexed);
    }
  }
}
