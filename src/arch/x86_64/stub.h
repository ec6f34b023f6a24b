/*
 * Builds the stub of a function: what its first instructions become.
 *
 *   function                          stub (within 2 GB)
 *   ┌ endbr64 (kept) ┐                ┌ push id                ┐
 *   │ jmp stub ──────┼───────────────▶│ jmp [entry] ───────────┼─▶ rf_enter ─┐
 *   │ (rest of the   │                │ entry: .quad rf_enter  │             │ call
 *   │  window)       │                │ body: relocated window │◀────────────┘
 *   │ next: ...      │◀───────────────┼─ jmp next              │
 *   └────────────────┘                └────────────────────────┘
 *
 * A function under timing.budget has a countdown per thread: while it is above 0, a call only takes one off
 * and goes straight to the body.
 *
 * The window is the run of whole instructions under the 5 bytes of the jump. Where a function is shorter, or
 * something branches into its bytes 2 to 4, a jump of 2 bytes leads to a landing in the padding nearby, which
 * holds the 5-byte jump. Where a leaf function loops back to its beginning, the stub holds all of it.
 * Planning (here) touches nothing; the patcher (src/patch) writes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_STUB_MAX 1536
#define RF_STUB_HEAD 24  /* bytes that hand the id to the entry */
#define RF_STUB_PUSHED 5 /* bytes of it; behind them the stack is one word deeper */
#define RF_JUMP_BYTES 5
#define RF_SHORT_JUMP_BYTES 2
#define RF_SHORT_JUMP_REACH 120 /* from the function to its landing */
#define RF_TRAP_BYTE 0xcc       /* one is an instruction that nobody may run */

enum rf_refusal {
  RF_PATCH_OK,
  RF_REFUSE_UNDECODABLE,
  RF_REFUSE_TOO_SHORT,
  RF_REFUSE_BRANCH_BACK,
  RF_REFUSE_CALL_INSIDE,
  RF_REFUSE_OUT_OF_REACH,
  RF_REFUSE_UNMOVABLE,
  RF_REFUSE_PATCHED,
  RF_REFUSE_SHADOW_STACK,
  RF_REFUSE_CONVENTION,
  RF_REFUSE_CALLER,
};

/* One line for people. */
const char *rf_refusal_text(enum rf_refusal refusal);

/* What to build a stub for. */
struct rf_stub_request {
  const uint8_t *code; /* the function */
  size_t size;         /* 0: unknown */
  size_t limit;        /* bytes up to the next known function or the end of the code */
  uint32_t id;
  const void *entry;     /* what the stub jumps to */
  uintptr_t stub;        /* where it will lie */
  size_t jump_bytes;     /* RF_JUMP_BYTES or RF_SHORT_JUMP_BYTES */
  bool whole;            /* copy the whole function, which must be a leaf */
  bool through;          /* nothing is moved: the body is the function itself, wherever it lies */
  bool bare;             /* only move jump_bytes of whole instructions: no head, nothing is handed to entry */
  const void *countdown; /* in the lowest 2 GB: where a thread without countdowns finds this function's; NULL:
                            no counting */
  intptr_t thread;       /* with it: where rf_tls.self lies, from the thread pointer */
};

/* An instruction that moved: its offset in the function and in the stub. */
struct rf_stub_move {
  uint16_t from, to;
};
#define RF_STUB_MOVES 97

struct rf_stub_plan {
  uint8_t bytes[RF_STUB_MAX];
  struct rf_stub_move move[RF_STUB_MOVES]; /* ascending; the last is the jump back */
  size_t moves;
  size_t pushed;                 /* where a moved call has pushed its return address, 0: none */
  size_t length;                 /* of the stub */
  size_t jump_offset;            /* of the jump in the function: 0, or 4 behind endbr64 */
  size_t body_offset;            /* of the relocated window in the stub */
  size_t window_bytes;           /* from jump_offset */
  bool goes_on;                  /* the window does: it comes back behind itself */
  uint16_t moved[RF_JUMP_BYTES]; /* by byte under the jump: where in the stub the instruction lies that begins
                                    there; 0: none does */
};

/* Plans a stub. That nobody branches into the window is the caller's to know (patch/branches.h). The decoder
 * must be open. Cost: about 0.5 us. */
enum rf_refusal rf_stub_build(const struct rf_stub_request *request, struct rf_stub_plan *plan);

/* The 2 bytes of the jump at address to a landing within RF_SHORT_JUMP_REACH. */
void rf_short_jump_encode(uintptr_t address, uintptr_t landing, uint8_t jump[RF_SHORT_JUMP_BYTES]);

/* A branch's distance of 1 or 4 bytes, from behind it to target. false: it does not fit. */
bool rf_distance_encode(uintptr_t behind, uintptr_t target, size_t bytes, uint8_t distance[4]);

/* Whether code from one offset to another is nothing but padding between functions. */
bool rf_code_is_padding(const uint8_t *code, size_t from, size_t to);

/* The 5 bytes of the jump at address to stub. */
void rf_jump_encode(uintptr_t address, uintptr_t stub, uint8_t jump[RF_JUMP_BYTES]);

/* Where the jump goes in a function: 0, or 4 behind endbr64. */
size_t rf_jump_offset(const uint8_t *code);

/* The head of a stub alone: RF_STUB_HEAD bytes that hand id to entry. */
void rf_stub_head(uint8_t *stub, uint32_t id, const void *entry);
