/*
 * DWARF expressions, over values that may be unknown: a register plus a constant stays that, so the same
 * evaluator turns expressions into places when a rule is made, and computes numbers when registers are given.
 */
#pragma once

#include <stddef.h>

#include "unwind/rule.h"

struct rf_value {
  enum { RF_CONSTANT, RF_REGISTER, RF_LOADED } kind; /* add; reg + offset; [reg + offset] + add */
  uint8_t reg;
  intptr_t offset, add;
};

struct rf_expression_context {
  uintptr_t pc;
  const struct rf_registers *registers; /* NULL: stay symbolic */
  uint32_t valid;                       /* which of registers are known, a bit each */
  bool push_cfa;                        /* register rules start with the CFA on the stack */
  uintptr_t cfa;                        /* with registers only */
  bool (*read)(void *user, uintptr_t address, uintptr_t *value);
  void *user;
};

/* Evaluates the bytes of [at, end). False: malformed, too long, unreadable memory, or (symbolic) of another
 * shape. Signal-safe. */
bool rf_expression(const struct rf_expression_context *context, const uint8_t *at, const uint8_t *end,
                   struct rf_value *result);
