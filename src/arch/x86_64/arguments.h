/*
 * The System V calling convention: from sizes and the scalars inside of a type to the registers and stack
 * places that carry it. What the entry saves of a call lies in a struct rf_saved_call, and a place is an
 * offset into it, or from the first stack argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/x86_64/saved.h"

enum rf_leaf_class { RF_LEAF_INTEGER, RF_LEAF_VECTOR, RF_LEAF_EXTENDED };

/* A scalar inside of a value. */
struct rf_leaf {
  uint32_t offset, size;
  enum rf_leaf_class class;
};

/* What the convention needs to know of a type. in_memory: it is never in registers (a C++ class that can't be
 * copied by its bytes is passed by its address; complex extended doubles; unaligned fields). */
struct rf_shape {
  uint32_t size, align;
  const struct rf_leaf *leaf;
  size_t leaves;
  bool by_address;
};

enum rf_place_kind { RF_PLACE_UNKNOWN, RF_PLACE_SAVED, RF_PLACE_STACK };

/* A value of up to 16 bytes may lie in two registers: part 0 holds bytes 0 to 7, part 1 the others. */
struct rf_place {
  enum rf_place_kind kind;
  int32_t part[2]; /* RF_PLACE_SAVED: offsets into struct rf_saved_call; RF_PLACE_STACK: [0] from the first
                      stack argument */
  bool by_address; /* the place holds the value's address */
};

/* Counts what arguments have taken so far; begin with zeros. */
struct rf_placer {
  uint32_t integers, vectors, stack;
};

/* The place of the next argument. */
struct rf_place rf_place_argument(struct rf_placer *placer, const struct rf_shape *shape);
/* The place of the result; a result in memory takes the first integer register as a hidden argument: *hidden.
 * Offsets are those of the result registers in struct rf_saved_call. */
struct rf_place rf_place_result(const struct rf_shape *shape, bool *hidden);
/* The place of a register by its DWARF number at entry; RF_PLACE_UNKNOWN for those that carry no argument. */
struct rf_place rf_place_register(unsigned number);
/* The place of what lies so many bytes above the call frame's address (the stack pointer before the call). */
struct rf_place rf_place_frame(int64_t offset);
