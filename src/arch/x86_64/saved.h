/*
 * The registers of a call that carry arguments and results, as the entry saves them for rules. Included by
 * the assembly, so it holds plain numbers first.
 */
#pragma once

#define RF_SAVED_INTEGER 0 /* rdi rsi rdx rcx r8 r9 */
#define RF_SAVED_VECTOR 48 /* low halves of xmm0 to xmm7 */
#define RF_SAVED_RAX 112
#define RF_SAVED_RDX 120
#define RF_SAVED_XMM0 128
#define RF_SAVED_XMM1 136
#define RF_SAVED_X87 144     /* st0, 10 bytes */
#define RF_SAVED_VERDICT 160 /* enum rf_verdict */
#define RF_SAVED_BYTES 176

#define RF_VERDICT_RUN 0      /* the body runs; the result stays */
#define RF_VERDICT_INTEGER 1  /* result[0] is the result instead */
#define RF_VERDICT_VECTOR 2   /* vector_result[0] is */
#define RF_VERDICT_EXTENDED 3 /* extended_result is */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

struct rf_saved_call {
  uint64_t integer[6];
  uint64_t vector[8];
  uint64_t result[2], vector_result[2];
  uint64_t extended_result[2];
  uint64_t verdict, unused;
};
_Static_assert(offsetof(struct rf_saved_call, vector) == RF_SAVED_VECTOR, "the assembly counts on it");
_Static_assert(offsetof(struct rf_saved_call, result) == RF_SAVED_RAX, "the assembly counts on it");
_Static_assert(offsetof(struct rf_saved_call, vector_result) == RF_SAVED_XMM0, "the assembly counts on it");
_Static_assert(offsetof(struct rf_saved_call, extended_result) == RF_SAVED_X87, "the assembly counts on it");
_Static_assert(offsetof(struct rf_saved_call, verdict) == RF_SAVED_VERDICT, "the assembly counts on it");
_Static_assert(sizeof(struct rf_saved_call) == RF_SAVED_BYTES, "the assembly counts on it");
#endif
