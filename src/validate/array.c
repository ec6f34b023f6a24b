/* See array.h. The compiler makes vector code of the blocks: compare all, look once a block. */
#include "validate/array.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "arch/arch.h"
#include "validate/number.h"

#define BLOCK 512u

/* Verdicts are put together as 32-bit words whatever the type: gcc makes branches of 64-bit ones. */
typedef uint32_t verdicts __attribute__((vector_size(16)));

/* Whether all of a block lie in [low, high]; NaN lies in none. */
#define BLOCK_TEST(name, type, vector, lanes)                                                                \
  typedef type vector __attribute__((vector_size(sizeof(type) * lanes), aligned(1), may_alias));             \
  static bool name(const type *data, size_t count, type low, type high) {                                    \
    verdicts good = ~(verdicts){0}, good2 = good;                                                            \
    size_t i = 0;                                                                                            \
    const vector lows = (vector){0} + low, highs = (vector){0} + high;                                       \
    for (; i + 2 * lanes <= count; i += 2 * lanes) {                                                         \
      vector a = *(const vector *)(data + i), b = *(const vector *)(data + i + lanes);                       \
      good &= (verdicts)(a >= lows);                                                                         \
      good &= (verdicts)(a <= highs);                                                                        \
      good2 &= (verdicts)(b >= lows);                                                                        \
      good2 &= (verdicts)(b <= highs);                                                                       \
    }                                                                                                        \
    good &= good2;                                                                                           \
    bool all = (good[0] & good[1] & good[2] & good[3]) == UINT32_MAX;                                        \
    for (; i < count; i++) {                                                                                 \
      type value;                                                                                            \
      memcpy(&value, data + i, sizeof value);                                                                \
      all = all && value >= low && value <= high;                                                            \
    }                                                                                                        \
    return all;                                                                                              \
  }                                                                                                          \
  static size_t name##_search(const type *data, size_t count, type low, type high) {                         \
    for (size_t at = 0; at < count; at += BLOCK) {                                                           \
      size_t n = count - at < BLOCK ? count - at : BLOCK;                                                    \
      if (name(data + at, n, low, high)) continue;                                                           \
      for (size_t i = at; i < at + n; i++) {                                                                 \
        type value;                                                                                          \
        memcpy(&value, data + i, sizeof value);                                                              \
        if (!(value >= low && value <= high)) return i;                                                      \
      }                                                                                                      \
    }                                                                                                        \
    return count;                                                                                            \
  }

BLOCK_TEST(doubles, double, double_vector, 2)
BLOCK_TEST(floats, float, float_vector, 4)
BLOCK_TEST(int8s, int8_t, int8_vector, 16)
BLOCK_TEST(int16s, int16_t, int16_vector, 8)
BLOCK_TEST(int32s, int32_t, int32_vector, 4)
BLOCK_TEST(int64s, int64_t, int64_vector, 2)
BLOCK_TEST(uint8s, uint8_t, uint8_vector, 16)
BLOCK_TEST(uint16s, uint16_t, uint16_vector, 8)
BLOCK_TEST(uint32s, uint32_t, uint32_vector, 4)
BLOCK_TEST(uint64s, uint64_t, uint64_vector, 2)

static double double_of_key(int64_t key) {
  uint64_t bits = key < 0 ? RF_DOUBLE_SIGN | (uint64_t)-key : (uint64_t)key;
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static size_t search_floats(const struct rf_array_query *q) {
  double low = double_of_key(q->low), high = double_of_key(q->high);
  float narrow_low = (float)low, narrow_high = (float)high;
  if ((double)narrow_low < low) narrow_low = nextafterf(narrow_low, INFINITY);
  if ((double)narrow_high > high) narrow_high = nextafterf(narrow_high, -INFINITY);
  return floats_search(q->data, q->count, narrow_low, narrow_high);
}

#define CUT(value, least, most) ((value) < (least) ? (least) : (value) > (most) ? (most) : (value))
/* Where no value of the type lies in the interval, the first element is bad. */
#define SEARCH(name, type, least, most, low, high)                                                           \
  ((low) > (most) || (high) < (least)                                                                        \
       ? 0                                                                                                   \
       : name##_search(q->data, q->count, (type)CUT(low, least, most), (type)CUT(high, least, most)))

static size_t search_signed(const struct rf_array_query *q) {
  switch (q->size) {
  case 1: return SEARCH(int8s, int8_t, INT8_MIN, INT8_MAX, q->low, q->high);
  case 2: return SEARCH(int16s, int16_t, INT16_MIN, INT16_MAX, q->low, q->high);
  case 4: return SEARCH(int32s, int32_t, INT32_MIN, INT32_MAX, q->low, q->high);
  default: return int64s_search(q->data, q->count, q->low, q->high);
  }
}

static size_t search_unsigned(const struct rf_array_query *q) {
  uint64_t low = (uint64_t)q->low ^ RF_DOUBLE_SIGN, high = (uint64_t)q->high ^ RF_DOUBLE_SIGN;
  switch (q->size) {
  case 1:
    return low > UINT8_MAX
               ? 0
               : uint8s_search(q->data, q->count, (uint8_t)low, high > UINT8_MAX ? UINT8_MAX : (uint8_t)high);
  case 2:
    return low > UINT16_MAX ? 0
                            : uint16s_search(q->data, q->count, (uint16_t)low,
                                             high > UINT16_MAX ? UINT16_MAX : (uint16_t)high);
  case 4:
    return low > UINT32_MAX ? 0
                            : uint32s_search(q->data, q->count, (uint32_t)low,
                                             high > UINT32_MAX ? UINT32_MAX : (uint32_t)high);
  default: return uint64s_search(q->data, q->count, low, high);
  }
}

void rf_array_search(struct rf_array_query *q) {
  uint32_t environment = rf_float_reset(); /* a NaN may be trapped in the app's */
  if (q->low > q->high)
    q->first_bad = 0;
  else if (q->kind == RF_NUMBER_SIGNED)
    q->first_bad = search_signed(q);
  else if (q->kind == RF_NUMBER_UNSIGNED)
    q->first_bad = search_unsigned(q);
  else if (q->size == 4)
    q->first_bad = search_floats(q);
  else
    q->first_bad = doubles_search(q->data, q->count, double_of_key(q->low), double_of_key(q->high));
  rf_float_restore(environment);
}
