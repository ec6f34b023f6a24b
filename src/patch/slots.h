/*
 * Functions that no jump can be put into are reached through the slots that other modules call them by: the
 * address in a slot is replaced by that of a stub (arch/stub.h), whose body is the function itself.
 *
 *   caller                  slot                         stub
 *   call f@plt ─▶ jmp [ ] ──┬─ before ──▶ f              push id; jmp entry ─▶ ... ─▶ call f
 *                           └─ after ────────────────────▶
 *
 * Calls that do not come through slots are not seen.
 *
 *   want (function) ... ─▶ begin, meet (module) ..., look ─▶ found (function)? ─▶ stub ─▶ time ─▶ apply
 *
 * One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_module;

/* A function of owner without room for a jump. symbol: where its symbol lies; target: where its calls go,
 * another place for an indirect function. note: the caller's, whatever it is; one that is known already takes
 * the new one, and its former one is the answer (0: none). */
uint64_t rf_slots_want(const struct rf_module *owner, uintptr_t symbol, uintptr_t target, uint64_t note);

/* How a module is met. */
enum rf_slots_module {
  RF_SLOTS_READY = 1,   /* it is relocated */
  RF_SLOTS_INITIAL = 2, /* the process began with it: it is never closed, and its names come first */
  RF_SLOTS_QUIET = 4,   /* none of its code runs now */
};

/* Modules in the loader's order, all that are there. */
void rf_slots_begin(void);
void rf_slots_meet(const struct rf_module *module, unsigned how);
/* Looks for slots in those that are new, or in all for new functions. A module that is not relocated and
 * names one of the functions has constructor_entry called before its first constructor (patch/constructor.h).
 * Cost: 10 ns a relocation, 0.1 ns a byte of code where functions' addresses stand among a module's data. */
void rf_slots_look(const void *constructor_entry);

/* Whether slots lead there and it has no stub yet; its note. */
bool rf_slots_found(uintptr_t target, uint64_t *note);
/* Whether that is so of any function of the module, and was not so at the last rf_slots_settle. */
bool rf_slots_owner_found(uintptr_t load_address);
void rf_slots_settle(void);

/* Calls of the function shall go to the stub, which hands on id: once rf_slots_apply writes that, and the
 * planned edits of code (patch/edits.h) are written. */
void rf_slots_time(uintptr_t target, uint32_t id, uintptr_t stub);
/* ... or no longer, or again. */
void rf_slots_turn(uintptr_t target, bool on);
/* Writes what is planned. Stubs must be executable. Answers how many slots could not be written. */
size_t rf_slots_apply(void);

/* A module is gone: its functions, and its slots. */
void rf_slots_forget(uintptr_t load_address);
