/* Bytes of code that are to be replaced: gathered, then written at once, or handed to somebody who writes
 * them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/stub.h"
#include "base/change.h"

struct rf_edit {
  uintptr_t address, stub; /* stub: what makes sense only once this lies in executable pages */
  uint32_t id;
  uint8_t count;
  bool quiet; /* no thread runs its module's code before it is written */
  uint8_t bytes[RF_JUMP_BYTES], original[RF_JUMP_BYTES];
  uintptr_t moved[RF_JUMP_BYTES]; /* see base/change.h */
};

/* Room for so many more, so that adding can't fail. false: no memory. */
bool rf_edits_reserve(size_t more);
/* The count bytes at address become bytes. */
struct rf_edit *rf_edit_add(uintptr_t address, const uint8_t *bytes, size_t count, uintptr_t stub,
                            uint32_t id);
/* A jump from address to target. */
struct rf_edit *rf_edit_add_jump(uintptr_t address, uintptr_t target, uintptr_t stub, uint32_t id);
/* All behind the first count are quiet. */
void rf_edits_quieten(size_t count);
/* One that was kept. */
void rf_edit_add_again(const struct rf_edit *edit);
size_t rf_edits_count(void);
const struct rf_edit *rf_edits(void);
/* Forgets all behind the first count. */
void rf_edits_drop(size_t count);
/* As a list; valid until the next one. NULL without memory. */
const struct rf_change_edit *rf_edits_export(size_t *count);
