/*
 * Registers as unwinding sees them, in DWARF's numbering, under names that say what they do for the unwinder:
 *
 *   STACK  rsp      FRAME  rbp      RECORD rbx (the timing entry keeps its record there)      RETURN rip
 *
 * and what the bytes around an address tell where no call frame information does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

enum {
  RF_REG_RECORD = 3,
  RF_REG_FRAME = 6,
  RF_REG_STACK = 7,
  RF_REG_SAVED = 12,
  RF_REG_RETURN = 16,
  RF_REGISTERS = 17
};

/* Kept across calls besides STACK, FRAME and RECORD: r12 to r15. */
enum { RF_SAVED_COUNT = 4 };

/* The registers that a function gives back as it found them. */
#define RF_CALLEE_SAVED                                                                                      \
  (1u << RF_REG_RECORD | 1u << RF_REG_FRAME | 1u << RF_REG_STACK | 0xf000u | 1u << RF_REG_RETURN)
#define RF_ALL_REGISTERS ((1u << RF_REGISTERS) - 1)

struct rf_registers {
  uintptr_t at[RF_REGISTERS];
};

/* The registers of an interrupted thread, from the third argument of its signal handler. Signal-safe. */
static inline void rf_registers_of_context(struct rf_registers *registers, const void *context) {
  static const uint8_t order[RF_REGISTERS] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                              REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                              REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  const ucontext_t *from = context;
  for (int i = 0; i < RF_REGISTERS; i++) registers->at[i] = (uintptr_t)from->uc_mcontext.gregs[order[i]];
}

/* The callee-saved registers as they are in the caller when this returns, which is where RETURN points.
 * Signal-safe. */
void rf_registers_here(struct rf_registers *registers);

/* How many bytes before an address rf_follows_call looks at. */
enum { RF_CALL_BYTES = 7 };

/* Whether the instruction that ends at pc can be a call: a return address always follows one. Looks at no
 * more than the given number of bytes before pc. */
static inline bool rf_follows_call(const uint8_t *pc, uintptr_t bytes) {
  static const uint8_t indirect[] = {2, 3, 4, 6, 7};
  if (bytes >= 5 && pc[-5] == 0xe8) return true;
  for (unsigned i = 0; i < sizeof indirect && indirect[i] <= bytes; i++)
    if (pc[-indirect[i]] == 0xff && (pc[1 - indirect[i]] & 0x38) == 0x10) return true;
  return false;
}

/* How many bytes from an address, and before it, rf_stub_depth looks at. */
enum { RF_STUB_BYTES = 16 };

/* Bytes between the stack pointer and the caller's frame if pc is inside a linkage stub that the linker left
 * without call frame information (lld does), else 0. */
static inline int rf_stub_depth(const uint8_t *pc) {
  const uint8_t *at = pc;
  if (!memcmp(at, "\xf3\x0f\x1e\xfa", 4)) at += 4;
  if (at[0] == 0x68 && at[5] == 0xe9) return 8;   /* push index; jmp header */
  if (at[0] == 0xe9 && at[-5] == 0x68) return 16; /*             ^          */
  if (at[0] == 0xff && at[1] == 0x35 && at[6] == 0xff && at[7] == 0x25)
    return 16; /* push map; jmp resolver */
  if (at[0] == 0xff && at[1] == 0x25 && at[-6] == 0xff && at[-5] == 0x35) return 24;
  if (at[0] == 0xf2) at++;
  return at[0] == 0xff && at[1] == 0x25 ? 8 : 0; /* jmp target */
}

/* The relocation of a word that holds an address of its own module. */
#define RF_RELOCATION_RELATIVE 8
