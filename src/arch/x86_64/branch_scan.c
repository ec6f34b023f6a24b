/*
 * See branch_scan.h. Calls mostly go to beginnings, so they are looked at only where that is asked for.
 *
 * 64 bytes at a time. Branches with a long distance may come from anywhere, but few bytes read like one;
 * short ones are many, and matter only where a target is within their reach.
 */
#include "arch/x86_64/branch_scan.h"

#include <emmintrin.h>
#include <stdbool.h>
#include <string.h>

#define STEP 64u
#define SHORT_BACK 126u /* how far before and behind itself a short branch reaches */
#define SHORT_AHEAD 129u

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

/* Which of STEP bytes begin a branch: one bit each. */
struct masks {
  uint64_t longs, shorts;
};

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

static inline __m128i load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)(const void *)at); }

/* Reads a byte more than STEP. */
static inline struct masks masks_at(const uint8_t *at, uint8_t jumps, bool with_shorts) {
  struct masks found = {0, 0};
  for (unsigned i = 0; i < STEP; i += 16) {
    __m128i bytes = load(at + i);
    found.longs |= (uint64_t)long_branches(bytes, load(at + i + 1), jumps) << i;
    if (with_shorts) found.shorts |= (uint64_t)short_branches(bytes) << i;
  }
  return found;
}

static inline size_t long_target(const uint8_t *operand, size_t at) {
  int32_t distance;
  memcpy(&distance, operand, sizeof distance);
  return at + sizeof distance + (size_t)(intptr_t)distance;
}

static inline void check(const struct scan *s, size_t from, size_t to) {
  if (to < s->target_count && (s->targets[to / 64] >> (to % 64) & 1)) s->hit(s->user, from, to);
}

/* Most calls go to beginnings. */
static inline void check_inside(const struct scan *s, size_t from, size_t to) {
  if (to && to < s->target_count && (s->targets[(to - 1) / 64] >> ((to - 1) % 64) & 1)) check(s, from, to);
}

/* In order of their addresses. code: the bytes at offset at, or a copy of them, of which so many count. */
static void look_at(const struct scan *s, const uint8_t *code, size_t at, size_t bytes, struct masks found) {
  for (uint64_t left = found.longs | found.shorts; left; left &= left - 1) {
    unsigned i = (unsigned)__builtin_ctzll(left), opcode = (code[i] & 0xfe) == 0xe8 ? 1 : 2;
    bool brief = found.shorts >> i & 1;
    if (i + (brief ? 2 : opcode + 4) > bytes) continue;
    if (brief)
      check(s, at + i, at + i + 2 + (size_t)(intptr_t)(int8_t)code[i + 1]);
    else if (code[i] == 0xe8 && s->range->inside)
      check_inside(s, at + i, long_target(code + i + opcode, at + i + opcode));
    else
      check(s, at + i, long_target(code + i + opcode, at + i + opcode));
  }
}

/* Whether a short branch in [at, at + STEP) may reach a target. Looks at whole words of the map. */
static inline bool reaches_target(const struct scan *s, size_t at) {
  size_t words = s->target_count / 64 + 1, first = at > SHORT_BACK ? (at - SHORT_BACK) / 64 : 0,
         last = (at + STEP + SHORT_AHEAD) / 64;
  uint64_t any = 0;
  for (size_t i = first; i <= last && i < words; i++) any |= s->targets[i];
  return any;
}

/* Up to the last byte, behind which nothing may be mapped. */
static void scan_rest(const struct scan *s, size_t at, size_t end, uint8_t jumps) {
  uint8_t bytes[2 * STEP + 8];
  for (; at < end; at += STEP) {
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, s->range->text + at, end - at < STEP + 8 ? end - at : STEP + 8);
    look_at(s, bytes, at, end - at, masks_at(bytes, jumps, true));
  }
}

void rf_branch_scan(const struct rf_scan_range *range, const uint64_t *targets, size_t target_count,
                    void (*hit)(void *user, size_t from, size_t to), void *user) {
  const struct scan s = {range, targets, target_count, hit, user};
  const uint8_t jumps = range->calls ? 0xfe : 0xff; /* e8 and e9, or e9 alone */
  size_t at = range->from;
  for (; at + STEP + 6 <= range->to; at += STEP) { /* 6: as long as the longest branch */
    struct masks found = masks_at(range->text + at, jumps, reaches_target(&s, at));
    if (found.longs | found.shorts) look_at(&s, range->text + at, at, STEP + 6, found);
  }
  scan_rest(&s, at, range->to, jumps);
}
