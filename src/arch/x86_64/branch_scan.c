/*
 * See branch_scan.h. Calls mostly go to beginnings, so they are looked at only where that is asked for.
 *
 * 16 bytes at a time. Branches with a long distance may come from anywhere, but few bytes read like one;
 * short ones are many, and matter only where a target is within their reach.
 */
#include "arch/x86_64/branch_scan.h"

#include <emmintrin.h>
#include <stdbool.h>
#include <string.h>

#define STEP 16u
#define SHORT_REACH 130u /* either way, from the branch's first byte */

struct scan {
  const struct rf_scan_range *range;
  const uint64_t *targets;
  size_t target_count;
  void (*hit)(void *user, size_t from, size_t to);
  void *user;
};

static inline __m128i equal(__m128i bytes, uint8_t value) {
  return _mm_cmpeq_epi8(bytes, _mm_set1_epi8((char)value));
}

static inline __m128i masked(__m128i bytes, uint8_t mask, uint8_t value) {
  return equal(_mm_and_si128(bytes, _mm_set1_epi8((char)mask)), value);
}

/* jmp rel32, jcc rel32, and call rel32 when it is asked for */
static inline unsigned long_branches(__m128i bytes, __m128i next, uint8_t jumps) {
  return (unsigned)_mm_movemask_epi8(_mm_or_si128(
      masked(bytes, jumps, jumps & 0xe9), _mm_and_si128(equal(bytes, 0x0f), masked(next, 0xf0, 0x80))));
}

/* jcc, jmp, loopne loope loop jrcxz */
static inline unsigned short_branches(__m128i bytes) {
  return (unsigned)_mm_movemask_epi8(
      _mm_or_si128(_mm_or_si128(masked(bytes, 0xf0, 0x70), equal(bytes, 0xeb)), masked(bytes, 0xfc, 0xe0)));
}

static inline size_t long_target(const uint8_t *text, size_t at) {
  int32_t distance;
  memcpy(&distance, text + at, sizeof distance);
  return at + sizeof distance + (size_t)(intptr_t)distance;
}

static inline void check(const struct scan *s, size_t from, size_t to) {
  if (to < s->target_count && (s->targets[to / 64] >> (to % 64) & 1)) s->hit(s->user, from, to);
}

static void look_at(const struct scan *s, size_t at, unsigned longs, unsigned shorts) {
  const uint8_t *text = s->range->text;
  for (unsigned left = longs | shorts; left; left &= left - 1) {
    unsigned i = (unsigned)__builtin_ctz(left);
    size_t from = at + i;
    if (shorts >> i & 1)
      check(s, from, from + 2 + (size_t)(intptr_t)(int8_t)text[from + 1]);
    else
      check(s, from, long_target(text, from + ((text[from] & 0xfe) == 0xe8 ? 1 : 2)));
  }
}

/* Whether a short branch in [at, at + STEP) may reach a target. Looks at whole words of the map. */
static inline bool reaches_target(const struct scan *s, size_t at) {
  size_t words = s->target_count / 64 + 1, first = at > SHORT_REACH ? (at - SHORT_REACH) / 64 : 0,
         last = (at + STEP + SHORT_REACH) / 64;
  uint64_t any = 0;
  for (size_t i = first; i <= last && i < words; i++) any |= s->targets[i];
  return any;
}

void rf_branch_scan(const struct rf_scan_range *range, const uint64_t *targets, size_t target_count,
                    void (*hit)(void *user, size_t from, size_t to), void *user) {
  const struct scan s = {range, targets, target_count, hit, user};
  const uint8_t jumps = range->calls ? 0xfe : 0xff;                 /* e8 and e9, or e9 alone */
  size_t at = range->from, end = range->to > 6 ? range->to - 6 : 0; /* no branch begins at end or behind */
  for (; at + STEP < end; at += STEP) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(range->text + at));
    __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(range->text + at + 1));
    unsigned longs = long_branches(bytes, next, jumps), shorts = short_branches(bytes);
    if (shorts && !reaches_target(&s, at)) shorts = 0;
    if (longs | shorts) look_at(&s, at, longs, shorts);
  }
  for (; at < end; at++) {
    uint8_t bytes[STEP] = {range->text[at], range->text[at + 1]};
    __m128i one = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    look_at(&s, at, long_branches(one, _mm_srli_si128(one, 1), jumps) & 1, short_branches(one) & 1);
  }
}
