/*
 * A rule: what call frame information says of one program counter, in a form that is applied without parsing.
 *
 * Nearly everything that compilers, linkers and libc write as DWARF expressions has the shape "register plus
 * constant", perhaps loaded from, perhaps plus another constant; those become places. Other expressions stay
 * as they are, behind a pointer into the module.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"

enum rf_how {
  RF_SAME,          /* the register is as the callee left it */
  RF_UNDEFINED,     /* its value is lost; for RETURN: there is no caller */
  RF_AT,            /* saved in memory at the place's value */
  RF_IS,            /* its value is the place's value */
  RF_AT_EXPRESSION, /* as RF_AT and RF_IS, the value being that of a DWARF expression */
  RF_IS_EXPRESSION,
};

enum { RF_BASE_CFA = RF_REGISTERS }; /* as a place's base: the canonical frame address */

/* A value: [base + offset] + add if deref, else base + offset. */
struct rf_place {
  uint8_t how, base, deref, unused[5];
  union {
    struct {
      int32_t offset, add;
    };
    const uint8_t *expression; /* begins with its length */
  };
};

struct rf_rule {
  struct rf_place cfa; /* always RF_IS or RF_IS_EXPRESSION */
  struct rf_place at[RF_REGISTERS];
  bool signal;       /* the frame of a signal handler's return: the caller's pc is exact */
  uint8_t unused[7]; /* rules are compared as bytes */
};

static inline struct rf_place rf_place(enum rf_how how, int base, int32_t offset) {
  return (struct rf_place){.how = (uint8_t)how, .base = (uint8_t)base, .offset = offset};
}
