/*
 * See landing.h. Compilers align functions with nops or int3 that are never run: behind the end of one
 * function, before the beginning of the next. Only functions of known size have a known end.
 */
#include "patch/landing.h"

#include "arch/stub.h"
#include "base/memory.h"
#include "patch/patch.h"

static uintptr_t *taken;
static size_t taken_count, taken_capacity;

void rf_landing_take(uintptr_t landing) {
  if (taken_count == taken_capacity) {
    size_t capacity = taken_capacity ? taken_capacity * 2 : 64;
    uintptr_t *grown = rf_realloc(taken, capacity * sizeof *grown);
    if (!grown) return;
    taken = grown;
    taken_capacity = capacity;
  }
  taken[taken_count++] = landing;
}

size_t rf_landings(void) { return taken_count; }

void rf_landings_drop(size_t count) { taken_count = count; }

void rf_landing_forget(uintptr_t low, uintptr_t high) {
  for (size_t i = 0; i < taken_count; i++)
    if (taken[i] >= low && taken[i] < high) taken[i--] = taken[--taken_count];
}

/* Linear: landings are few, and asked for by few functions. */
bool rf_landing_free(uintptr_t address) {
  for (size_t i = 0; i < taken_count; i++)
    if (address < taken[i] + RF_JUMP_BYTES && taken[i] < address + RF_JUMP_BYTES) return false;
  return true;
}

static uintptr_t in_gap(uintptr_t start, uintptr_t end, uintptr_t low, uintptr_t high) {
  if (start < low) start = low;
  if (end > high) end = high;
  for (uintptr_t at = start; at + RF_JUMP_BYTES <= end; at++)
    if (rf_landing_free(at)) return at;
  return 0;
}

static bool leaves(const struct rf_instruction *in) {
  return in->flow == RF_FLOW_RETURN || in->flow == RF_FLOW_JUMP || in->flow == RF_FLOW_INDIRECT_JUMP;
}

static bool calls(const struct rf_instruction *in) {
  return in->flow == RF_FLOW_CALL || in->flow == RF_FLOW_INDIRECT_CALL;
}

/* Where a function's code ends: by its symbol, or, where that gives no size (start-up code), behind its last
 * instruction that is no padding. 0: not known, or it goes on from there into the padding, as memcpy_chk's
 * into memcpy does. What ends with a call by its symbol calls what does not return. */
static uintptr_t end_of(const struct rf_extent *f, uintptr_t next) {
  struct rf_instruction in;
  uintptr_t end = 0, limit = f->size ? f->address + f->size : next;
  for (uintptr_t at = f->address; at < limit; at += in.length) {
    if (!rf_decode((const uint8_t *)at, limit - at, at, &in)) return 0;
    if (!in.padding) end = leaves(&in) || (f->size && calls(&in)) ? at + in.length : 0;
  }
  return end && f->size ? limit : end;
}

uintptr_t rf_landing_find(const struct rf_patch_request *r, uintptr_t low, uintptr_t high) {
  if (!r->functions || low > high) return 0;
  size_t i = rf_extent_from(r->functions, r->function_count, low);
  if (i) i--;
  uintptr_t end = 0; /* of everything so far: functions may overlap */
  for (; i + 1 < r->function_count && r->functions[i].address < high; i++) {
    const struct rf_extent *f = &r->functions[i];
    uintptr_t next = r->functions[i + 1].address, known = end_of(f, next), said = f->address + f->size;
    if (known > end) end = known;
    if (said > end) end = said;
    if (!known || next < end + RF_JUMP_BYTES || next <= low) continue;
    if (!rf_code_is_padding((const uint8_t *)end, 0, next - end)) continue;
    uintptr_t landing = in_gap(end, next, low, high);
    if (landing) return landing;
  }
  return 0;
}
