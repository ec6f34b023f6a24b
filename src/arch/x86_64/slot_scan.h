/*
 * Calls into other modules go through slots that hold addresses: PLT entries are jumps through one, and code
 * compiled with -fno-plt calls through one itself.
 */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What relocations make of a slot: one that only a PLT entry jumps through; one whose value code may also
 * take for a function's address. */
#define RF_RELOCATION_CALL R_X86_64_JUMP_SLOT
#define RF_RELOCATION_ADDRESS R_X86_64_GLOB_DAT

/* Calls hit for every call or jump in the text that goes through a place in [low, high): operand is where the
 * instruction keeps its distance of RF_SLOT_OPERAND bytes. Nothing else in code reads like one to a given
 * place, but once in 2^48 bytes. Cost: about 0.1 ns a byte. */
#define RF_SLOT_OPERAND 4
void rf_slot_scan(const uint8_t *text, size_t bytes, uintptr_t low, uintptr_t high,
                  void (*hit)(void *user, uintptr_t operand, uintptr_t slot), void *user);

/* Whether code is a PLT entry's way to the loader for the relocation of this index: what a slot that is bound
 * at its first call holds until then. */
bool rf_slot_binds(const uint8_t *code, size_t bytes, size_t index);
