/*
 * Numbers of the app, compared exactly and without vector registers: a double's bits are compared as an
 * ordered integer, and an integer with a double by taking the double apart. Header only, so that it also
 * serves code that may use general registers alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum rf_number_kind { RF_NUMBER_SIGNED, RF_NUMBER_UNSIGNED, RF_NUMBER_DOUBLE, RF_NUMBER_EXTENDED };

struct rf_number {
  uint64_t bits;     /* an integer's value; a double's bits; an extended double's mantissa */
  uint16_t exponent; /* of an extended double, sign included */
  uint8_t kind;      /* enum rf_number_kind */
};

#define RF_DOUBLE_SIGN (1ull << 63)
#define RF_DOUBLE_INFINITY 0x7ff0000000000000ull
#define RF_DOUBLE_LARGEST 0x7fefffffffffffffull

static inline bool rf_double_is_nan(uint64_t bits) { return (bits & ~RF_DOUBLE_SIGN) > RF_DOUBLE_INFINITY; }

/* Orders doubles as integers: -0 and 0 are one, NaNs lie beyond both infinities. */
static inline int64_t rf_double_key(uint64_t bits) {
  int64_t magnitude = (int64_t)(bits & ~RF_DOUBLE_SIGN);
  return bits & RF_DOUBLE_SIGN ? -magnitude : magnitude;
}

/* A float's bits as the same double's. */
static inline uint64_t rf_double_of_float(uint32_t bits) {
  uint64_t sign = (uint64_t)(bits >> 31) << 63, exponent = bits >> 23 & 0xff, fraction = bits & 0x7fffff;
  if (exponent == 0xff) return sign | RF_DOUBLE_INFINITY | fraction << 29;
  if (exponent) return sign | (exponent + 1023 - 127) << 52 | fraction << 29;
  if (!fraction) return sign;
  unsigned shift = (unsigned)__builtin_clzll(fraction) - 40; /* so that bit 23 becomes the hidden one */
  return sign | (uint64_t)(1023 - 126 - (int)shift) << 52 | (fraction << shift & 0x7fffff) << 29;
}

/* An extended double cut to a double; *rest: whether something was cut off. */
static inline uint64_t rf_double_of_extended(uint64_t mantissa, uint16_t sign_exponent, bool *rest) {
  uint64_t sign = (uint64_t)(sign_exponent >> 15) << 63;
  int exponent = (sign_exponent & 0x7fff) - 16383 + 1023;
  *rest = (mantissa & 0x7ff) != 0;
  if ((sign_exponent & 0x7fff) == 0x7fff) {
    *rest = false;
    return mantissa << 1 ? sign | RF_DOUBLE_INFINITY | 1 : sign | RF_DOUBLE_INFINITY;
  }
  if (exponent >= 0x7ff) {
    *rest = true;
    return sign | RF_DOUBLE_LARGEST; /* beyond every double, short of infinity */
  }
  if (exponent > 0) return sign | (uint64_t)exponent << 52 | (mantissa << 1 >> 12);
  unsigned shift = (unsigned)(12 - exponent);
  *rest = shift > 63 ? mantissa != 0 : (mantissa & ((1ull << shift) - 1)) != 0;
  return sign | (shift > 63 ? 0 : mantissa >> shift);
}

/* -1, 0, 1 as integer is less than, equal to or more than the double, which is no NaN. */
static inline int rf_compare_integer_double(__int128 integer, uint64_t bits) {
  uint64_t magnitude = bits & ~RF_DOUBLE_SIGN;
  bool negative = (bits & RF_DOUBLE_SIGN) && magnitude;
  int exponent = (int)(magnitude >> 52) - 1023;
  if (negative != (integer < 0)) return integer < 0 ? -1 : integer == 0 && !magnitude ? 0 : 1 - 2 * !negative;
  __int128 size = integer < 0 ? -integer : integer;
  int order;
  if (exponent >= 126)
    order = -1;
  else if (exponent < 0)
    order = size > 0 ? 1 : magnitude ? -1 : 0;
  else {
    uint64_t mantissa = (magnitude & 0xfffffffffffffull) | 1ull << 52;
    __int128 whole =
        exponent >= 52 ? (__int128)mantissa << (exponent - 52) : (__int128)(mantissa >> (52 - exponent));
    bool fraction = exponent < 52 && (mantissa & ((1ull << (52 - exponent)) - 1));
    order = size < whole ? -1 : size > whole ? 1 : fraction ? -1 : 0;
  }
  return negative ? -order : order;
}

static inline __int128 rf_number_integer(const struct rf_number *n) {
  return n->kind == RF_NUMBER_SIGNED ? (__int128)(int64_t)n->bits : (__int128)n->bits;
}

static inline bool rf_number_is_integer(const struct rf_number *n) { return n->kind <= RF_NUMBER_UNSIGNED; }

/* An extended double between two doubles lies half a step beyond the lower one. */
static inline __int128 rf_number_key(const struct rf_number *n, uint64_t *bits) {
  bool rest = false;
  *bits = n->kind == RF_NUMBER_EXTENDED ? rf_double_of_extended(n->bits, n->exponent, &rest) : n->bits;
  __int128 key = 2 * (__int128)rf_double_key(*bits);
  return rest ? key + (*bits & RF_DOUBLE_SIGN ? -1 : 1) : key;
}

enum { RF_UNORDERED = 2 };

/* -1, 0, 1; RF_UNORDERED where a NaN is among them. */
static inline int rf_number_compare(const struct rf_number *a, const struct rf_number *b) {
  if (rf_number_is_integer(a) && rf_number_is_integer(b)) {
    __int128 x = rf_number_integer(a), y = rf_number_integer(b);
    return x < y ? -1 : x > y;
  }
  uint64_t a_bits = 0, b_bits = 0;
  __int128 x = rf_number_is_integer(a) ? 0 : rf_number_key(a, &a_bits);
  __int128 y = rf_number_is_integer(b) ? 0 : rf_number_key(b, &b_bits);
  if (rf_double_is_nan(a_bits) || rf_double_is_nan(b_bits)) return RF_UNORDERED;
  if (rf_number_is_integer(a)) {
    int order = rf_compare_integer_double(rf_number_integer(a), b_bits);
    return order || !(y & 1) ? order : y < 0 ? 1 : -1;
  }
  if (rf_number_is_integer(b)) {
    int order = -rf_compare_integer_double(rf_number_integer(b), a_bits);
    return order || !(x & 1) ? order : x < 0 ? -1 : 1;
  }
  return x < y ? -1 : x > y;
}
