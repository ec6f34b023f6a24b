/*
 * The usual instructions, decoded by a few rules: nine in ten of what compilers write, in a tenth of the time
 * that a full decoder takes, which has the rest (decode.c). Whatever is not certain is left to that one:
 * legacy prefixes but for those of SSE and endbr64, VEX, x87, strings, opcodes with invalid forms.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_usual {
  uint8_t length, opcode;                 /* opcode: its last byte */
  bool two_bytes;                         /* 0f before it */
  uint8_t prefix, rex;                    /* 66, f2, f3, or 0; REX, or 0 */
  uint8_t modrm, displacement, immediate; /* offsets, 0: none; displacement: of one that counts from rip */
  uint8_t immediate_bytes;
  bool relative;        /* the immediate is a branch's distance */
  uint8_t mod, reg, rm; /* as they stand in the ModRM byte */
  bool names_rbx;       /* or may name it: rbx, or a part of it */
};

/* false: it is none of them, or not all of it lies within bytes. Cost: about 5 ns. */
bool rf_usual_decode(const uint8_t *code, size_t bytes, struct rf_usual *usual);
