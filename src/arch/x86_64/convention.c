/* See convention.h. */
#include "arch/x86_64/convention.h"

#include <string.h>

#include "arch/x86_64/decode.h"

enum { BYTES_MAX = 1 << 16 };

/* Where the code ends whose symbol gives no size: behind the first instruction that does not go on, if
 * nothing before branches over it. */
static size_t code_end(const uint8_t *code, size_t bytes) {
  uintptr_t start = (uintptr_t)code, furthest = start;
  struct rf_instruction in;
  for (size_t at = 0; at < bytes; at += in.length) {
    if (!rf_decode(code + at, bytes - at, start + at, &in)) return at;
    bool direct = in.flow == RF_FLOW_JUMP || in.flow == RF_FLOW_BRANCH || in.flow == RF_FLOW_LOOP;
    bool leaves = in.flow == RF_FLOW_RETURN || in.flow == RF_FLOW_JUMP ||
                  (in.flow == RF_FLOW_INDIRECT_JUMP && !in.by_table);
    if (direct && in.target - start < bytes && in.target > furthest) furthest = in.target;
    if (leaves && furthest < start + at + in.length) return at + in.length;
  }
  return bytes;
}

bool rf_breaks_convention(const uint8_t *code, size_t bytes, bool exact) {
  bool copied = false; /* to another register: kept if it is changed later, an argument if not */
  if (bytes > BYTES_MAX) bytes = BYTES_MAX;
  if (!exact) bytes = code_end(code, bytes);
  for (size_t at = 0; at < bytes;) {
    size_t length = 0;
    switch (rf_decode_record_use(code + at, bytes - at, &length)) {
    case RF_USE_SAVES: return false;
    case RF_USE_READS: return true;
    case RF_USE_WRITES: return !copied;
    case RF_USE_COPIES: copied = true; break;
    case RF_USE_NONE: break;
    }
    if (!length) return false; /* data among the code */
    at += length;
  }
  return copied;
}

/* ---- the return address ---- */

/* Bytes on the stack above the return address, as far as they are known; framed: rbp is below 8 of them. */
struct depth {
  int64_t bytes;
  bool known, framed;
};

static int64_t signed_at(const uint8_t *code, size_t bytes) {
  int32_t wide;
  if (bytes == 1) return (int8_t)*code;
  memcpy(&wide, code, sizeof wide);
  return wide;
}

/* mov r64, [rsp+disp] or [rbp+disp]: where from the return address on it reads; false: it is another one. */
static bool reads_stack(const uint8_t *code, const struct depth *depth, int64_t *place) {
  if ((code[0] & 0xfb) != 0x48 || code[1] != 0x8b) return false;
  unsigned mod = code[2] >> 6, rm = code[2] & 7;
  bool from_rsp = rm == 4 && code[3] == 0x24 && mod != 3, from_rbp = rm == 5 && mod != 0 && mod != 3;
  if (!from_rsp && !(from_rbp && depth->framed)) return false;
  size_t bytes = mod == 0 ? 0 : mod == 1 ? 1 : 4;
  int64_t displacement = bytes ? signed_at(code + (from_rsp ? 4 : 3), bytes) : 0;
  *place = displacement - (from_rsp ? depth->bytes : 8);
  return true;
}

/* What one instruction does to the stack pointer. */
static void follow(struct depth *depth, const uint8_t *code) {
  const uint8_t *op = (code[0] & 0xf0) == 0x40 ? code + 1 : code;
  bool wide = op != code && (code[0] & 8);
  if ((op[0] & 0xf8) == 0x50 || op[0] == 0x68 || op[0] == 0x6a || op[0] == 0x9c)
    depth->bytes += 8;
  else if ((op[0] & 0xf8) == 0x58 || op[0] == 0x9d)
    depth->bytes -= 8;
  else if (wide && (op[0] == 0x83 || op[0] == 0x81) && (op[1] == 0xec || op[1] == 0xc4))
    depth->bytes += (op[1] == 0xec ? 1 : -1) * signed_at(op + 2, op[0] == 0x83 ? 1 : 4);
  else if (wide && op[0] == 0x89 && op[1] == 0xe5)
    depth->framed = depth->bytes == 8;
  else if (op[0] == 0xc8 || op[0] == 0xc9 || op[0] == 0x8f ||     /* enter, leave, pop to memory */
           (wide && ((op[0] == 0x89 && (op[1] & 0xc7) == 0xc4) || /* mov rsp, r64 */
                     ((op[0] == 0x8b || op[0] == 0x8d) && (op[1] & 0x38) == 0x20) || /* mov or lea rsp */
                     (op[0] == 0x83 && op[1] == 0xe4) || (op[0] == 0x81 && op[1] == 0xe4)))) /* and rsp */
    depth->known = false;
}

/* -finstrument-functions hands every function's own address and its caller to a hook, which can do without. */
static bool names_itself(uintptr_t start, const uint8_t *code, const struct rf_instruction *in) {
  uint32_t last = 0;
  if (in->displacement && (in->target == start || !memcmp(code, "\x48\x8b\x3d", 3))) return true;
  if (in->length >= 5) memcpy(&last, code + in->length - sizeof last, sizeof last);
  return last && last == start;
}

bool rf_takes_return_address(const uint8_t *code, size_t bytes) {
  struct depth depth = {.known = true};
  struct rf_instruction in;
  bool reads = false, instrumented = false;
  for (size_t at = 0; at < bytes && depth.known; at += in.length) {
    int64_t place;
    if (!rf_decode(code + at, bytes - at, (uintptr_t)code + at, &in) || in.flow != RF_FLOW_NONE) break;
    reads |= reads_stack(code + at, &depth, &place) && place == 0;
    instrumented |= names_itself((uintptr_t)code, code + at, &in);
    follow(&depth, code + at);
    if (depth.bytes < 0) return true;
  }
  return reads && !instrumented;
}

/* ---- the flags ---- */

enum flags { FLAGS_KEPT, FLAGS_READ, FLAGS_COMPARED, FLAGS_CHANGED };

static enum flags flags_of_two_bytes(uint8_t opcode) {
  switch (opcode) {
  case 0x40 ... 0x4f: /* cmov */
  case 0x80 ... 0x9f: /* jcc, setcc */ return FLAGS_READ;
  case 0x2e ... 0x2f: /* comiss */
  case 0xa3: /* bt */ return FLAGS_COMPARED;
  case 0x10 ... 0x1f: /* vectors, nops */
  case 0x28 ... 0x29:
  case 0x6e ... 0x6f:
  case 0x7e ... 0x7f:
  case 0xb6 ... 0xb7: /* movzx */
  case 0xbe ... 0xbf: /* movsx */
  case 0xd6: return FLAGS_KEPT;
  }
  return FLAGS_CHANGED;
}

static enum flags flags_of_group(uint8_t opcode, unsigned reg) {
  if (opcode == 0xf6 || opcode == 0xf7) return reg == 0 ? FLAGS_COMPARED : FLAGS_CHANGED; /* test */
  if (opcode >= 0xc0) return reg == 2 || reg == 3 ? FLAGS_READ : FLAGS_CHANGED;           /* rcl, rcr */
  return reg == 7 ? FLAGS_COMPARED : reg == 2 || reg == 3 ? FLAGS_READ : FLAGS_CHANGED;   /* cmp; adc, sbb */
}

/* By the opcode; what is not known is taken for a change. */
static enum flags flags_of(const uint8_t *code) {
  while (*code == 0x66 || *code == 0xf2 || *code == 0xf3 || (*code & 0xf0) == 0x40) code++;
  switch (*code) {
  case 0x0f: return flags_of_two_bytes(code[1]);
  case 0x70 ... 0x7f: /* jcc */
  case 0x10 ... 0x15: /* adc */
  case 0x18 ... 0x1d: /* sbb */
  case 0x9c:          /* pushf */
  case 0x9f:          /* lahf */
  case 0xf5: /* cmc */ return FLAGS_READ;
  case 0x38 ... 0x3d: /* cmp */
  case 0x84 ... 0x85: /* test */
  case 0xa8 ... 0xa9:
  case 0xf8 ... 0xf9: /* clc, stc */ return FLAGS_COMPARED;
  case 0x80 ... 0x83:
  case 0xc0 ... 0xc1:
  case 0xd0 ... 0xd3:
  case 0xf6 ... 0xf7: return flags_of_group(*code, code[1] >> 3 & 7);
  case 0x50 ... 0x5f: /* push, pop */
  case 0x63:          /* movsxd */
  case 0x86 ... 0x8d: /* xchg, mov, lea */
  case 0x90 ... 0x97:
  case 0xb0 ... 0xbf:
  case 0xc6 ... 0xc7: return FLAGS_KEPT;
  }
  return FLAGS_CHANGED;
}

static bool takes_flags(const uint8_t *code, size_t bytes) {
  struct rf_instruction in;
  for (size_t at = 0; at < bytes; at += in.length) {
    if (!rf_decode(code + at, bytes - at, (uintptr_t)code + at, &in)) return false;
    enum flags use = flags_of(code + at);
    if (use != FLAGS_KEPT) return use == FLAGS_READ;
  }
  return false;
}

/* Compilers compare nothing for nothing. */
static bool returns_flags(const uint8_t *code, size_t bytes) {
  struct rf_instruction in;
  bool compared = false;
  for (size_t at = 0; at < bytes; at += in.length) {
    if (!rf_decode(code + at, bytes - at, (uintptr_t)code + at, &in)) return false;
    if (in.flow == RF_FLOW_RETURN && compared) return true;
    enum flags use = flags_of(code + at);
    if (use != FLAGS_KEPT && !in.padding) compared = in.flow == RF_FLOW_NONE && use == FLAGS_COMPARED;
  }
  return false;
}

bool rf_passes_flags(const uint8_t *code, size_t bytes, bool exact) {
  enum { SHORT = 64 };
  return takes_flags(code, bytes) || (exact && bytes <= SHORT && returns_flags(code, bytes));
}
