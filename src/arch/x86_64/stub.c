/* See stub.h. */
#include "arch/x86_64/stub.h"

#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/convention.h"
#include "arch/x86_64/decode.h"
#include "arch/x86_64/record.h"

#define WINDOW_INSTRUCTIONS (RF_STUB_MOVES - 1) /* of a whole leaf; otherwise 5 at most */
#define WHOLE_BYTES 400

struct window {
  const uint8_t *code; /* the function */
  size_t start, end;   /* offsets in it */
  size_t needed;       /* bytes from start that the jump takes, or the whole function */
  bool whole;
  size_t count;
  size_t offset[WINDOW_INSTRUCTIONS];
  struct rf_instruction instruction[WINDOW_INSTRUCTIONS];
  uintptr_t moved[WINDOW_INSTRUCTIONS]; /* where each came to lie */
  bool ends_here;                       /* its last instruction does not fall through */
};

struct output {
  struct rf_stub_plan *plan;
  uintptr_t stub;
  bool failed;
};

const char *rf_refusal_text(enum rf_refusal refusal) {
  switch (refusal) {
  case RF_PATCH_OK: return "";
  case RF_REFUSE_UNDECODABLE: return "its first instructions can't be decoded";
  case RF_REFUSE_TOO_SHORT: return "shorter than the 5 bytes of a jump";
  case RF_REFUSE_BRANCH_BACK: return "its first 5 bytes are branched into";
  case RF_REFUSE_CALL_INSIDE: return "a call within its first 5 bytes returns into them";
  case RF_REFUSE_OUT_OF_REACH: return "no free page within 2 GB";
  case RF_REFUSE_UNMOVABLE: return "an instruction in its first 5 bytes can't be moved";
  case RF_REFUSE_PATCHED: return "another tool has put a breakpoint on it";
  case RF_REFUSE_CONVENTION: return "it does not keep to the calling convention";
  case RF_REFUSE_CALLER: return "it asks for its caller";
  case RF_REFUSE_SHADOW_STACK:
    return "a call in its first 5 bytes can't be moved under a hardware shadow stack";
  }
  return "unknown";
}

static void emit(struct output *out, const void *bytes, size_t count) {
  if (out->plan->length + count > RF_STUB_MAX) {
    out->failed = true;
    return;
  }
  memcpy(out->plan->bytes + out->plan->length, bytes, count);
  out->plan->length += count;
}

static void emit_byte(struct output *out, uint8_t byte) { emit(out, &byte, 1); }

/* A 32-bit displacement from behind itself (and tail more bytes) to target. */
static void emit_relative(struct output *out, uintptr_t target, size_t tail) {
  intptr_t distance = (intptr_t)(target - (out->stub + out->plan->length + 4 + tail));
  int32_t narrow = (int32_t)distance;
  if (narrow != distance) out->failed = true;
  emit(out, &narrow, 4);
}

static void emit_jump(struct output *out, uintptr_t target) {
  emit_byte(out, 0xe9);
  emit_relative(out, target, 0);
}

/* push of a full address: the low half sign-extended, then the high half mended. */
static void emit_push_address(struct output *out, uintptr_t address) {
  int32_t low = (int32_t)address, high = (int32_t)(address >> 32);
  emit_byte(out, 0x68);
  emit(out, &low, 4);
  out->plan->pushed = out->plan->length;
  if ((intptr_t)low == (intptr_t)address) return;
  emit(out, "\xc7\x44\x24\x04", 4); /* mov dword [rsp+4], high */
  emit(out, &high, 4);
}

void rf_jump_encode(uintptr_t address, uintptr_t stub, uint8_t jump[RF_JUMP_BYTES]) {
  int32_t distance = (int32_t)(stub - (address + RF_JUMP_BYTES));
  jump[0] = 0xe9;
  memcpy(jump + 1, &distance, 4);
}

static bool begins_with_endbr(const uint8_t *code) { return !memcmp(code, "\xf3\x0f\x1e\xfa", 4); }

size_t rf_jump_offset(const uint8_t *code) { return begins_with_endbr(code) ? 4 : 0; }

void rf_short_jump_encode(uintptr_t address, uintptr_t landing, uint8_t jump[RF_SHORT_JUMP_BYTES]) {
  jump[0] = 0xeb;
  jump[1] = (uint8_t)(landing - (address + RF_SHORT_JUMP_BYTES));
}

bool rf_distance_encode(uintptr_t behind, uintptr_t target, size_t bytes, uint8_t distance[4]) {
  intptr_t wide = (intptr_t)(target - behind);
  int32_t narrow = (int32_t)wide;
  memcpy(distance, &narrow, 4);
  return bytes == 1 ? wide == (int8_t)wide : bytes == 4 && wide == narrow;
}

static bool falls_through(const struct rf_instruction *in) {
  return in->flow != RF_FLOW_JUMP && in->flow != RF_FLOW_INDIRECT_JUMP && in->flow != RF_FLOW_RETURN;
}

bool rf_code_is_padding(const uint8_t *code, size_t from, size_t to) {
  struct rf_instruction in;
  while (from < to) {
    if (!rf_decode(code + from, 15, (uintptr_t)code + from, &in) || !in.padding) return false;
    from += in.length;
  }
  return true;
}

/*
 * A moved call pushes its return address by hand, which a hardware shadow stack does not see: the callee's
 * return would fault. (Timed calls themselves are whole pairs of call and return.)
 */
static bool shadow_stack_active(void) {
  enum { STATUS = 0x5005 }; /* ARCH_SHSTK_STATUS, Linux 6.6 */
  static int active = -1;
  uint64_t features = 0;
  if (active < 0) active = rf_syscall(SYS_arch_prctl, STATUS, &features) == 0 && (features & 1);
  return active;
}

static enum rf_refusal check_movable(const struct window *w, const struct rf_instruction *in, size_t next) {
  bool call = in->flow == RF_FLOW_CALL || in->flow == RF_FLOW_INDIRECT_CALL;
  if (in->flow == RF_FLOW_OTHER) return RF_REFUSE_UNMOVABLE;
  if (call && (w->whole || next < w->start + w->needed)) return RF_REFUSE_CALL_INSIDE;
  if (call && shadow_stack_active()) return RF_REFUSE_SHADOW_STACK;
  if (w->whole && in->flow == RF_FLOW_INDIRECT_JUMP)
    return RF_REFUSE_BRANCH_BACK; /* by a table, who knows where */
  return RF_PATCH_OK;
}

static enum rf_refusal collect(struct window *w, size_t limit) {
  size_t at = w->start;
  while (at < w->start + w->needed && at < limit) {
    if (w->ends_here && !w->whole) break;
    if (w->count == WINDOW_INSTRUCTIONS) return RF_REFUSE_BRANCH_BACK;
    struct rf_instruction *in = &w->instruction[w->count];
    if (!w->ends_here && w->code[at] == RF_TRAP_BYTE)
      return RF_REFUSE_PATCHED; /* a breakpoint behind the first */
    if (!rf_decode(w->code + at, 15, (uintptr_t)w->code + at, in)) return RF_REFUSE_UNDECODABLE;
    w->offset[w->count++] = at;
    at += in->length;
    enum rf_refusal refusal = check_movable(w, in, at);
    if (refusal != RF_PATCH_OK) return refusal;
    w->ends_here = !falls_through(in);
  }
  w->end = at;
  if (at >= w->start + w->needed) return RF_PATCH_OK;
  if (!w->ends_here) return RF_REFUSE_TOO_SHORT; /* it goes on into the padding */
  return rf_code_is_padding(w->code, at, w->start + w->needed) ? RF_PATCH_OK : RF_REFUSE_TOO_SHORT;
}

/* Where a branch of the window has to go now: to the moved instruction, or where it went before. */
static bool moved_target(const struct window *w, uintptr_t target, uintptr_t *to) {
  uintptr_t first = (uintptr_t)w->code;
  *to = target;
  if (target < first || target >= first + w->start + w->needed) return true;
  if (target == first) target += w->start; /* over the endbr64 */
  for (size_t i = 0; i < w->count; i++)
    if (first + w->offset[i] == target) {
      *to = w->moved[i] ? w->moved[i] : target; /* not known yet on the first round */
      return true;
    }
  return false;
}

static void move_branch(struct output *out, const struct rf_instruction *in, const uint8_t *code,
                        uintptr_t to) {
  switch (in->flow) {
  case RF_FLOW_JUMP: emit_jump(out, to); break;
  case RF_FLOW_BRANCH:
    emit_byte(out, 0x0f);
    emit_byte(out, 0x80 | in->condition);
    emit_relative(out, to, 0);
    break;
  default: /* loop, jrcxz: short only, so a hop */
    emit(out, code, in->length - 1u);
    emit(out, "\x02\xeb\x05", 3);
    emit_jump(out, to);
  }
}

/* A call that ends the window returns into the original code, so its return address and unwinding stay the
 * original's. */
static void move_call(struct output *out, const struct rf_instruction *in, const uint8_t *code,
                      uintptr_t next) {
  uint8_t copy[16];
  memcpy(copy, code, in->length);
  if (in->flow == RF_FLOW_CALL) {
    emit_push_address(out, next);
    emit_jump(out, in->target);
    return;
  }
  uint8_t *modrm = &copy[in->modrm];
  if (!in->modrm || (*modrm & 7) == 4) {
    out->failed = true; /* through rsp, which the push moves */
    return;
  }
  emit_push_address(out, next);
  *modrm = (uint8_t)((*modrm & ~0x38) | 4 << 3); /* call /2 becomes jmp /4 */
  size_t start = out->plan->length;
  emit(out, copy, in->length);
  if (!in->displacement) return;
  out->plan->length = start + in->displacement;
  emit_relative(out, in->target, in->length - in->displacement - 4u);
  out->plan->length = start + in->length;
}

static void move_plain(struct output *out, const struct rf_instruction *in, const uint8_t *code) {
  size_t start = out->plan->length;
  emit(out, code, in->length);
  if (!in->displacement || out->failed) return;
  out->plan->length = start + in->displacement;
  emit_relative(out, in->target, in->length - in->displacement - 4u);
  out->plan->length = start + in->length;
}

static enum rf_refusal move_window(struct window *w, struct output *out) {
  for (size_t i = 0; i < w->count; i++) {
    const struct rf_instruction *in = &w->instruction[i];
    const uint8_t *code = w->code + w->offset[i];
    w->moved[i] = out->stub + out->plan->length;
    out->plan->move[i] = (struct rf_stub_move){(uint16_t)w->offset[i], (uint16_t)out->plan->length};
    uintptr_t to;
    switch (in->flow) {
    case RF_FLOW_JUMP:
    case RF_FLOW_BRANCH:
    case RF_FLOW_LOOP:
      if (!moved_target(w, in->target, &to)) return RF_REFUSE_BRANCH_BACK;
      move_branch(out, in, code, to);
      break;
    case RF_FLOW_CALL:
    case RF_FLOW_INDIRECT_CALL: move_call(out, in, code, (uintptr_t)code + in->length); break;
    default: move_plain(out, in, code);
    }
  }
  out->plan->move[w->count] = (struct rf_stub_move){(uint16_t)w->end, (uint16_t)out->plan->length};
  out->plan->moves = w->count + 1;
  if (!w->ends_here) emit_jump(out, (uintptr_t)w->code + w->end);
  return out->failed ? RF_REFUSE_UNMOVABLE : RF_PATCH_OK;
}

/*
 * Counts one call where the thread's countdown for the function is above 0: about 1.5 ns. The thread's block
 * is found through its TLS; what it holds is a distance from rf_no_countdowns, so that a wiped block (a
 * forked child) leads there and never faults.
 */
static void emit_countdown(struct output *out, const struct rf_stub_request *request) {
  int32_t self = (int32_t)request->thread;
  int32_t place = (int32_t)(intptr_t)request->countdown;
  emit(out, "\x4c\x89\x5c\x24\xf8", 5); /* mov [rsp-8], r11 */
  emit(out, "\x64\x4c\x8b\x1c\x25", 5); /* mov r11, fs:[self] */
  emit(out, &self, 4);
  emit(out, "\x4d\x8b\x5b", 3); /* mov r11, [r11+RF_THREAD_COUNTDOWNS] */
  emit_byte(out, RF_THREAD_COUNTDOWNS);
  emit(out, "\x49\xff\x8b", 3); /* dec qword [r11+place] */
  emit(out, &place, 4);
  emit(out, "\x4c\x8b\x5c\x24\xf8", 5); /* mov r11, [rsp-8] */
  emit(out, "\x7f\x18", 2);             /* jg over the head */
  _Static_assert(RF_STUB_HEAD == 0x18, "the jump above goes over it");
}

static void emit_head(struct output *out, uint32_t id, const void *entry) {
  emit_byte(out, 0x68); /* push id */
  emit(out, &id, 4);
  emit(out, "\xff\x25\x05\0\0\0", 6); /* jmp [rip+5]: the pointer behind the padding */
  emit(out, "\xcc\xcc\xcc\xcc\xcc", 5);
  emit(out, &entry, 8);
}

void rf_stub_head(uint8_t *stub, uint32_t id, const void *entry) {
  struct rf_stub_plan plan = {0};
  struct output out = {&plan, (uintptr_t)stub, false};
  emit_head(&out, id, entry);
  memcpy(stub, plan.bytes, plan.length);
}

/* Twice: the first round finds where each instruction comes to lie, so that the second can branch forward. */
static enum rf_refusal move_twice(struct window *w, struct output *out) {
  size_t head = out->plan->length;
  enum rf_refusal refusal = move_window(w, out);
  if (refusal != RF_PATCH_OK) return refusal;
  out->plan->length = head;
  return move_window(w, out);
}

static void note_moved(const struct window *w, uintptr_t stub, struct rf_stub_plan *plan) {
  memset(plan->moved, 0, sizeof plan->moved);
  for (size_t i = 0; i < w->count && w->offset[i] < w->start + RF_JUMP_BYTES; i++)
    plan->moved[w->offset[i] - w->start] = (uint16_t)(w->moved[i] - stub);
}

/* Whether a function may be timed at all. */
static enum rf_refusal check_function(const struct rf_stub_request *request, size_t bytes) {
  size_t start = rf_jump_offset(request->code);
  if (request->code[0] == RF_TRAP_BYTE) return RF_REFUSE_PATCHED;
  if (rf_breaks_convention(request->code, bytes, request->size != 0)) return RF_REFUSE_CONVENTION;
  if (rf_takes_return_address(request->code, bytes)) return RF_REFUSE_CALLER;
  if (rf_passes_flags(request->code, bytes, request->size != 0)) return RF_REFUSE_CONVENTION;
  if (request->whole && (bytes > WHOLE_BYTES || bytes <= start)) return RF_REFUSE_BRANCH_BACK;
  return RF_PATCH_OK;
}

/* A function that keeps its code, and is reached through the stub by those who were led there. */
static void emit_through(struct output *out, const struct rf_stub_request *request) {
  if (request->countdown) emit_countdown(out, request);
  emit_head(out, request->id, request->entry);
  out->plan->body_offset = out->plan->length;
  emit(out, "\xff\x25\0\0\0\0", 6); /* jmp [rip]: the address behind it */
  emit(out, &request->code, 8);
  out->plan->jump_offset = out->plan->window_bytes = 0;
  out->plan->goes_on = false;
  memset(out->plan->moved, 0, sizeof out->plan->moved);
}

enum rf_refusal rf_stub_build(const struct rf_stub_request *request, struct rf_stub_plan *plan) {
  const uint8_t *code = request->code;
  size_t bytes = request->size && request->size < request->limit ? request->size : request->limit;
  struct window w = {.code = code, .needed = request->jump_bytes, .whole = request->whole};
  struct output out = {plan, request->stub, false};
  plan->length = plan->moves = plan->pushed = 0;
  enum rf_refusal refusal = request->bare ? RF_PATCH_OK : check_function(request, bytes);
  if (refusal != RF_PATCH_OK) return refusal;
  if (request->through) return emit_through(&out, request), RF_PATCH_OK;
  if (!request->bare) w.start = rf_jump_offset(code);
  if (w.whole && bytes - w.start > w.needed) w.needed = bytes - w.start;
  refusal = collect(&w, bytes);
  if (refusal != RF_PATCH_OK) return refusal;
  if (w.start + request->jump_bytes > request->limit)
    return RF_REFUSE_TOO_SHORT; /* the next function begins under the jump */
  if (request->countdown) emit_countdown(&out, request);
  if (!request->bare) emit_head(&out, request->id, request->entry);
  plan->body_offset = plan->length;
  plan->jump_offset = w.start;
  plan->window_bytes = w.end - w.start < request->jump_bytes ? request->jump_bytes : w.end - w.start;
  plan->goes_on = !w.ends_here;
  enum rf_refusal moved = move_twice(&w, &out);
  note_moved(&w, out.stub, plan);
  return moved;
}
