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
  uint64_t longs, calls, shorts;
};

/* jmp rel32, jcc rel32 */
static inline unsigned long_branches(__m128i bytes, __m128i next) {
  return (unsigned)_mm_movemask_epi8(
      _mm_or_si128(equal(bytes, 0xe9), _mm_and_si128(equal(bytes, 0x0f), masked(next, 0xf0, 0x80))));
}

/* jcc, jmp, loopne loope loop jrcxz */
static inline unsigned short_branches(__m128i bytes) {
  return (unsigned)_mm_movemask_epi8(
      _mm_or_si128(_mm_or_si128(masked(bytes, 0xf0, 0x70), equal(bytes, 0xeb)), masked(bytes, 0xfc, 0xe0)));
}

static inline __m128i load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)(const void *)at); }

/* Reads a byte more than STEP. */
static inline struct masks masks_at(const uint8_t *at, bool with_calls, bool with_shorts) {
  struct masks found = {0, 0, 0};
  for (unsigned i = 0; i < STEP; i += 16) {
    __m128i bytes = load(at + i);
    found.longs |= (uint64_t)long_branches(bytes, load(at + i + 1)) << i;
    if (with_calls) found.calls |= (uint64_t)(unsigned)_mm_movemask_epi8(equal(bytes, 0xe8)) << i;
    if (with_shorts) found.shorts |= (uint64_t)short_branches(bytes) << i;
  }
  return found;
}

static inline size_t long_target(const uint8_t *operand, size_t at) {
  int32_t distance;
  memcpy(&distance, operand, sizeof distance);
  return at + sizeof distance + (size_t)(intptr_t)distance;
}

/* Behind the last offset the map has a bit that is never set. */
static inline uint64_t is_target(const struct scan *s, size_t to) {
  size_t at = to < s->target_count ? to : s->target_count;
  return s->targets[at / 64] >> (at % 64) & 1;
}

/* Where the branch at code[i] leads to, whose offset is at + i. */
static inline size_t short_to(const uint8_t *code, size_t at, unsigned i) {
  return at + i + 2 + (size_t)(intptr_t)(int8_t)code[i + 1];
}
static inline size_t long_to(const uint8_t *code, size_t at, unsigned i, unsigned opcode) {
  return long_target(code + i + opcode, at + i + opcode);
}
static inline unsigned opcode_bytes(uint8_t first) { return first == 0x0f ? 2 : 1; }

/*
 * Which of the branches lead to a target. Few do, and which can't be foreseen, so nothing here jumps by it: bits are
 * gathered, and looked at together. Calls mostly go to beginnings, and may be looked at only where they don't.
 */
static inline uint64_t hits_of(const struct scan *s, const uint8_t *code, size_t at, struct masks found) {
  uint64_t hits = 0;
  for (uint64_t left = found.longs; left; left &= left - 1) {
    unsigned i = (unsigned)__builtin_ctzll(left);
    hits |= is_target(s, long_to(code, at, i, opcode_bytes(code[i]))) << i;
  }
  for (uint64_t left = found.calls; left; left &= left - 1) {
    unsigned i = (unsigned)__builtin_ctzll(left);
    size_t to = long_to(code, at, i, 1);
    uint64_t inside = s->range->inside ? is_target(s, to - 1) : 1;
    hits |= (is_target(s, to) & inside) << i;
  }
  for (uint64_t left = found.shorts; left; left &= left - 1) {
    unsigned i = (unsigned)__builtin_ctzll(left);
    hits |= is_target(s, short_to(code, at, i)) << i;
  }
  return hits;
}

/* In order of their addresses. code: the bytes at offset at, or a copy of them, of which so many count. */
static void tell(const struct scan *s, const uint8_t *code, size_t at, size_t bytes, struct masks found,
                 uint64_t hits) {
  for (; hits; hits &= hits - 1) {
    unsigned i = (unsigned)__builtin_ctzll(hits), opcode = opcode_bytes(code[i]);
    bool brief = found.shorts >> i & 1;
    if (i + (brief ? 2 : opcode + 4) > bytes) continue;
    s->hit(s->user, at + i, brief ? short_to(code, at, i) : long_to(code, at, i, opcode));
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
static void scan_rest(const struct scan *s, size_t at, size_t end) {
  uint8_t bytes[2 * STEP + 8];
  for (; at < end; at += STEP) {
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, s->range->text + at, end - at < STEP + 8 ? end - at : STEP + 8);
    struct masks found = masks_at(bytes, s->range->calls, true);
    tell(s, bytes, at, end - at, found, hits_of(s, bytes, at, found));
  }
}

void rf_branch_scan(const struct rf_scan_range *range, const uint64_t *targets, size_t target_count,
                    void (*hit)(void *user, size_t from, size_t to), void *user) {
  const struct scan s = {range, targets, target_count, hit, user};
  size_t at = range->from;
  for (; at + STEP + 6 <= range->to; at += STEP) { /* 6: as long as the longest branch */
    const uint8_t *code = range->text + at;
    struct masks found = masks_at(code, range->calls, reaches_target(&s, at));
    uint64_t hits = hits_of(&s, code, at, found);
    if (hits) tell(&s, code, at, STEP + 6, found, hits);
  }
  scan_rest(&s, at, range->to);
}
