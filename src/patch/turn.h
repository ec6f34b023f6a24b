/*
 * Branches into a function's first bytes, which a jump is to cover, are turned: they go to the moved
 * instruction instead.
 *
 *   before                     after
 *   f:  push rbx               f:  jmp stub                   stub: ...
 *   1:  movzx ebx, [rdi]           (rest of the window)       m:    movzx ebx, [rdi]
 *       ...                        ...                              jmp behind the window
 *       jmp 1b  (4 bytes)          jmp m
 *       jne 1b  (1 byte)           jne landing ──▶ landing: jmp m, in padding or a host nearby
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_patch_request;
struct rf_stub_plan;

/* Where the 5 bytes of a jump to target can lie within [low, high], made ready for it; code: what the code at
 * target was moved from. 0: nowhere. */
typedef uintptr_t rf_place_landing(void *user, uintptr_t low, uintptr_t high, uintptr_t target,
                                   uintptr_t code);

struct rf_turn {
  const struct rf_patch_request *request;
  const struct rf_stub_plan *plan;
  uintptr_t stub;
  size_t jump_bytes; /* that are covered */
  bool whole;        /* the function's own branches are in its copy */
  rf_place_landing *place;
  void *user;
};

#define RF_TURNS_MOST 8
/* Adds the edits that turn all of them; false: one can't be turned. */
bool rf_turn_branches(const struct rf_turn *turn);
