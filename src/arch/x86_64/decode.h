/*
 * What the patcher needs to know of an instruction, and nothing else. Zydis decodes what usual.h does not; it
 * is opened with RTLD_LOCAL at the first use, so that a process without matched functions never sees it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rf_flow {
  RF_FLOW_NONE,   /* goes on to the next instruction */
  RF_FLOW_JUMP,   /* jmp rel8/rel32 */
  RF_FLOW_BRANCH, /* jcc rel8/rel32 */
  RF_FLOW_LOOP,   /* loop, loope, loopne, jcxz, jecxz, jrcxz: rel8 only */
  RF_FLOW_CALL,   /* call rel32 */
  RF_FLOW_INDIRECT_JUMP,
  RF_FLOW_INDIRECT_CALL,
  RF_FLOW_RETURN,
  RF_FLOW_OTHER, /* xbegin, far transfers, ... */
};

struct rf_instruction {
  uint8_t length;
  uint8_t flow;         /* enum rf_flow */
  uint8_t displacement; /* offset of a RIP-relative disp32 in the instruction, 0: none */
  uint8_t immediate;    /* offset of a branch's relative operand, 0: none */
  uint8_t immediate_bytes;
  uint8_t condition; /* low opcode nibble of a jcc */
  uint8_t modrm;     /* offset of the ModRM byte, 0: none */
  bool padding;      /* nop of any length, or int3 */
  bool by_table;     /* an indirect jump that may lead into its own function */
  uintptr_t target;  /* of a direct branch, or what a RIP-relative operand refers to */
};

/* Opens the decoder. NULL, or why it can't be had. Not for signal handlers. */
const char *rf_decoder_open(void);
/* Decodes the instruction at code (which runs at address). false: not decodable within bytes. Cost: 5 ns for
 * nine in ten of what compilers write (usual.h), 60 ns for the rest. */
bool rf_decode(const uint8_t *code, size_t bytes, uintptr_t address, struct rf_instruction *instruction);
/* The same by Zydis alone. */
bool rf_decode_fully(const uint8_t *code, size_t bytes, uintptr_t address,
                     struct rf_instruction *instruction);

/* What an instruction does with RECORD's register (registers.h). */
enum rf_record_use {
  RF_USE_NONE,
  RF_USE_SAVES,  /* to the stack or other memory */
  RF_USE_COPIES, /* to another register */
  RF_USE_READS,
  RF_USE_WRITES,
};
/* length: 0 where it can't be decoded. */
enum rf_record_use rf_decode_record_use(const uint8_t *code, size_t bytes, size_t *length);
/* The same by Zydis alone. */
enum rf_record_use rf_record_use_fully(const uint8_t *code, size_t bytes, size_t *length);
