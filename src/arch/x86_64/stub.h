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
 * The window is the run of whole instructions under the 5 bytes of the jump. Planning (here) touches nothing; the
 * patcher (src/patch) writes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_STUB_MAX 192
#define RF_STUB_BODY 24  /* where the relocated window starts */
#define RF_JUMP_BYTES 5
#define RF_STUB_ENTRY 16 /* offset of the pointer to the entry */

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
};

/* One line for people. */
const char *rf_refusal_text(enum rf_refusal refusal);

struct rf_stub_plan {
  uint8_t bytes[RF_STUB_MAX];
  size_t length;       /* of the stub */
  size_t jump_offset;  /* of the jump in the function: 0, or 4 behind endbr64 */
  size_t window_bytes; /* from jump_offset */
};

/*
 * Plans the stub that will lie at stub for the function at code of size bytes (0: unknown). limit: bytes up to the next known
 * function or the end of the code. entry: what the stub jumps to. That nobody branches into the window is the caller's to
 * know (patch/branches.h). The decoder must be open. Cost: about 0.5 us.
 */
enum rf_refusal rf_stub_build(const uint8_t *code, size_t size, size_t limit, uint32_t id, const void *entry, uintptr_t stub,
                              struct rf_stub_plan *plan);

/* The 5 bytes of the jump at address to stub. */
void rf_jump_encode(uintptr_t address, uintptr_t stub, uint8_t jump[RF_JUMP_BYTES]);

/* How many bytes from its beginning a patched function must not be entered in. */
size_t rf_jump_reach(const uint8_t *code);

/* The head of a stub alone: RF_STUB_BODY bytes that hand id to entry. */
void rf_stub_head(uint8_t *stub, uint32_t id, const void *entry);
