/*
 * A whole stack, known again without walking it.
 *
 * A walk is a function of the registers that it starts from and of the words that it reads. So a walk that
 * starts from the same registers and would read the same words gives the same frames: a seal keeps both, and
 * holds() loads and compares them. Which of the registers matter (are live) the walk has found out, exactly:
 * see last_stack.c.
 *
 *   seal   │ pc, sp │ live registers │ [where] == word │ [where] == word │ ...     a return address a frame, and
 *                                                                                  live registers saved there
 *
 * Modules and mappings are those of its epoch: rules are the same, and where words were read they still can
 * be. Entries lie side by side, four to a check, so that a stack of 20 frames is a few cache lines and some
 * 10 ns.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"

struct rf_unwind_cache;

/* A word that a walk read. */
struct rf_unwind_read {
  const uintptr_t *from;
  uintptr_t value;
};

struct rf_unwind_seal {
  uint64_t epoch; /* 0: broken, holds for nothing */
  uintptr_t pc, sp, frame, record, saved[RF_SAVED_COUNT];
  bool frame_lives, record_lives, saved_lives[RF_SAVED_COUNT];
  uint16_t count, room; /* entries, a multiple of RF_SEAL_STEP */
  struct rf_unwind_read read[];
};

enum { RF_SEAL_STEP = 4 };

/* Low half: modules' generation; high half: memory's. Changed by src/unwind/unwind.c alone. */
extern uint64_t rf_unwind_epoch __attribute__((visibility("hidden")));

/* The memory that a seal for stacks of up to depth frames needs; rf_unwind_seal_init makes it one. */
size_t rf_unwind_seal_bytes(size_t depth);
void rf_unwind_seal_init(struct rf_unwind_seal *seal, size_t bytes);

/* Seals the last walk with this cache, which began from these registers (rf_registers_here). False, and
 * broken: it read memory that may go away, or more than there is room for. Signal-safe. Cost: 1 ns a frame.
 */
bool rf_unwind_seal(const struct rf_unwind_cache *cache, const struct rf_registers *registers,
                    struct rf_unwind_seal *seal);

static inline bool rf_unwind_starts_alike(const struct rf_unwind_seal *seal, const struct rf_registers *now) {
  uintptr_t differences = (seal->pc ^ now->at[RF_REG_RETURN]) | (seal->sp ^ now->at[RF_REG_STACK]);
  differences |= (seal->frame ^ now->at[RF_REG_FRAME]) & -(uintptr_t)seal->frame_lives;
  differences |= (seal->record ^ now->at[RF_REG_RECORD]) & -(uintptr_t)seal->record_lives;
  for (int i = 0; i < RF_SAVED_COUNT; i++)
    differences |= (seal->saved[i] ^ now->at[RF_REG_SAVED + i]) & -(uintptr_t)seal->saved_lives[i];
  return differences == 0;
}

/* Whether a walk from these registers, of the calling thread's own stack, would give what the sealed one
 * gave. Signal-safe. */
static inline bool rf_unwind_seal_holds(const struct rf_unwind_seal *seal, const struct rf_registers *now) {
  if (seal->epoch != __atomic_load_n(&rf_unwind_epoch, __ATOMIC_ACQUIRE)) return false;
  if (!rf_unwind_starts_alike(seal, now)) return false;
  for (const struct rf_unwind_read *read = seal->read, *end = read + seal->count; read < end;
       read += RF_SEAL_STEP) {
    uintptr_t differences = 0;
    for (int i = 0; i < RF_SEAL_STEP; i++) differences |= *read[i].from ^ read[i].value;
    if (differences) return false;
  }
  return true;
}
