/* See decode.h. */
#include "arch/x86_64/decode.h"

#include <Zydis/Zydis.h>
#include <dlfcn.h>
#include <string.h>

#include "arch/x86_64/usual.h"

static __typeof__(&ZydisDecoderInit) decoder_init;
static __typeof__(&ZydisDecoderDecodeInstruction) decode_instruction;
static __typeof__(&ZydisDecoderDecodeOperands) decode_operands;
static ZydisDecoder decoder;

const char *rf_decoder_open(void) {
  if (decode_instruction) return NULL;
  void *library = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) dlerror();
  decoder_init = library ? (__typeof__(decoder_init))dlsym(library, "ZydisDecoderInit") : NULL;
  void *decode = library ? dlsym(library, "ZydisDecoderDecodeInstruction") : NULL;
  void *operands = library ? dlsym(library, "ZydisDecoderDecodeOperands") : NULL;
  if (!decoder_init || !decode || !operands)
    return "libZydis.so.4.0 can't be opened: install the package libzydis4.0";
  decoder_init(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  decode_operands = (__typeof__(decode_operands))operands;
  decode_instruction = (__typeof__(decode_instruction))decode;
  return NULL;
}

static enum rf_flow flow_of(const ZydisDecodedInstruction *in) {
  bool relative = in->raw.imm[0].is_relative;
  switch (in->meta.category) {
  case ZYDIS_CATEGORY_RET: return in->mnemonic == ZYDIS_MNEMONIC_RET ? RF_FLOW_RETURN : RF_FLOW_OTHER;
  case ZYDIS_CATEGORY_CALL: return relative ? RF_FLOW_CALL : RF_FLOW_INDIRECT_CALL;
  case ZYDIS_CATEGORY_UNCOND_BR: return relative ? RF_FLOW_JUMP : RF_FLOW_INDIRECT_JUMP;
  case ZYDIS_CATEGORY_COND_BR:
    switch (in->mnemonic) {
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ: return RF_FLOW_LOOP;
    case ZYDIS_MNEMONIC_XBEGIN: return RF_FLOW_OTHER;
    default: return relative ? RF_FLOW_BRANCH : RF_FLOW_OTHER;
    }
  default: return relative ? RF_FLOW_OTHER : RF_FLOW_NONE;
  }
}

static bool rip_relative(const ZydisDecodedInstruction *in) {
  return (in->attributes & ZYDIS_ATTRIB_HAS_MODRM) && in->raw.modrm.mod == 0 && in->raw.modrm.rm == 5 &&
         in->raw.disp.size == 32;
}

/* Tables are indexed, or read into a register first; what jumps through a field or a slot calls a function.
 */
static bool jumps_by_table(const ZydisDecodedInstruction *in) {
  return in->raw.modrm.mod == 3 || in->raw.modrm.rm == 4;
}

bool rf_decode_fully(const uint8_t *code, size_t bytes, uintptr_t address, struct rf_instruction *out) {
  ZydisDecodedInstruction in;
  if (!ZYAN_SUCCESS(decode_instruction(&decoder, NULL, code, bytes, &in))) return false;
  *out = (struct rf_instruction){.length = in.length, .flow = (uint8_t)flow_of(&in)};
  out->padding = in.mnemonic == ZYDIS_MNEMONIC_NOP || in.mnemonic == ZYDIS_MNEMONIC_INT3;
  out->condition = in.opcode & 0xf;
  out->modrm = in.attributes & ZYDIS_ATTRIB_HAS_MODRM ? in.raw.modrm.offset : 0;
  out->by_table = out->flow == RF_FLOW_INDIRECT_JUMP && jumps_by_table(&in);
  if (rip_relative(&in)) {
    if (in.address_width != 64) out->flow = RF_FLOW_OTHER; /* eip-relative: nobody can move that */
    out->displacement = in.raw.disp.offset;
    out->target = address + in.length + (uintptr_t)in.raw.disp.value;
  } else if (in.raw.imm[0].is_relative) {
    out->immediate = in.raw.imm[0].offset;
    out->immediate_bytes = in.raw.imm[0].size / 8;
    out->target = address + in.length + (uintptr_t)in.raw.imm[0].value.s;
  }
  return true;
}

/* ---- rbx ---- */

static bool is_record(ZydisRegister reg) {
  return reg == ZYDIS_REGISTER_RBX || reg == ZYDIS_REGISTER_EBX || reg == ZYDIS_REGISTER_BX ||
         reg == ZYDIS_REGISTER_BL || reg == ZYDIS_REGISTER_BH;
}

/* Without looking at operands: whether a field that names registers holds rbx's number, or the instruction
 * may take it unnamed. */
static bool may_use_record(const ZydisDecodedInstruction *in) {
  const ZydisDecodedInstructionRaw *raw = &in->raw;
  if (!(in->attributes & ZYDIS_ATTRIB_HAS_MODRM))
    return (in->opcode & 7) == 3 || in->mnemonic == ZYDIS_MNEMONIC_CPUID ||
           in->mnemonic == ZYDIS_MNEMONIC_XLAT;
  bool sib = in->attributes & ZYDIS_ATTRIB_HAS_SIB && (raw->sib.base == 3 || raw->sib.index == 3);
  return raw->modrm.reg == 3 || raw->modrm.rm == 3 || sib ||
         in->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY || raw->modrm.reg == 7 ||
         raw->modrm.rm == 7 /* bh */ || in->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B ||
         in->mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B;
}

struct record_use {
  bool read, written, addressed, cleared;
};

static struct record_use use_of(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *operands) {
  struct record_use use = {0};
  for (int i = 0; i < in->operand_count; i++) {
    const ZydisDecodedOperand *operand = &operands[i];
    if (operand->type == ZYDIS_OPERAND_TYPE_MEMORY)
      use.addressed |= is_record(operand->mem.base) || is_record(operand->mem.index);
    if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER || !is_record(operand->reg.value)) continue;
    use.read |= (operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    use.written |= (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  }
  bool clearing = in->mnemonic == ZYDIS_MNEMONIC_XOR || in->mnemonic == ZYDIS_MNEMONIC_SUB ||
                  in->mnemonic == ZYDIS_MNEMONIC_SBB;
  use.cleared = clearing && use.written && operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
                operands[0].reg.value == operands[1].reg.value;
  return use;
}

enum rf_record_use rf_record_use_fully(const uint8_t *code, size_t bytes, size_t *length) {
  ZydisDecoderContext context;
  ZydisDecodedInstruction in;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  *length = 0;
  if (!ZYAN_SUCCESS(decode_instruction(&decoder, &context, code, bytes, &in))) return RF_USE_NONE;
  *length = in.length;
  if (in.meta.category == ZYDIS_CATEGORY_NOP || in.meta.category == ZYDIS_CATEGORY_WIDENOP ||
      !may_use_record(&in))
    return RF_USE_NONE;
  if (!ZYAN_SUCCESS(decode_operands(&decoder, &context, &in, operands, in.operand_count))) return RF_USE_NONE;
  struct record_use use = use_of(&in, operands);
  bool move = in.mnemonic == ZYDIS_MNEMONIC_MOV || in.mnemonic == ZYDIS_MNEMONIC_MOVQ ||
              in.mnemonic == ZYDIS_MNEMONIC_VMOVQ;
  bool whole = use.read && !use.addressed && in.operand_width == 64;
  if (in.mnemonic == ZYDIS_MNEMONIC_XCHG && whole) return RF_USE_SAVES;
  if (in.mnemonic == ZYDIS_MNEMONIC_PUSH && whole) return RF_USE_SAVES;
  if (move && whole && !use.written)
    return operands[0].type == ZYDIS_OPERAND_TYPE_MEMORY ? RF_USE_SAVES : RF_USE_COPIES;
  if (use.cleared) return RF_USE_WRITES;
  if (use.read || use.addressed) return RF_USE_READS;
  return use.written ? RF_USE_WRITES : RF_USE_NONE;
}

/* ---- the usual ones ---- */

static enum rf_flow usual_flow(const struct rf_usual *u) {
  if (u->two_bytes) return u->relative ? RF_FLOW_BRANCH : RF_FLOW_NONE;
  switch (u->opcode) {
  case 0x70 ... 0x7f: return RF_FLOW_BRANCH;
  case 0xc3: return RF_FLOW_RETURN;
  case 0xe8: return RF_FLOW_CALL;
  case 0xe9:
  case 0xeb: return RF_FLOW_JUMP;
  case 0xff: return u->reg == 2 ? RF_FLOW_INDIRECT_CALL : u->reg == 4 ? RF_FLOW_INDIRECT_JUMP : RF_FLOW_NONE;
  }
  return RF_FLOW_NONE;
}

static intptr_t distance_at(const uint8_t *code, size_t bytes) {
  int32_t distance;
  if (bytes == 1) return (int8_t)*code;
  memcpy(&distance, code, sizeof distance);
  return distance;
}

static void from_usual(const uint8_t *code, uintptr_t address, const struct rf_usual *u,
                       struct rf_instruction *out) {
  *out = (struct rf_instruction){.length = u->length, .flow = (uint8_t)usual_flow(u)};
  uintptr_t behind = address + u->length;
  out->padding = u->two_bytes && u->opcode == 0x1f;
  out->condition = u->opcode & 0xf;
  out->modrm = u->modrm;
  out->by_table = out->flow == RF_FLOW_INDIRECT_JUMP && (u->mod == 3 || u->rm == 4);
  if (u->displacement) {
    out->displacement = u->displacement;
    out->target = behind + (uintptr_t)distance_at(code + u->displacement, 4);
  } else if (u->relative) {
    out->immediate = u->immediate;
    out->immediate_bytes = u->immediate_bytes;
    out->target = behind + (uintptr_t)distance_at(code + u->immediate, u->immediate_bytes);
  }
}

bool rf_decode(const uint8_t *code, size_t bytes, uintptr_t address, struct rf_instruction *out) {
  struct rf_usual usual;
  if (!rf_usual_decode(code, bytes, &usual)) return rf_decode_fully(code, bytes, address, out);
  from_usual(code, address, &usual, out);
  return true;
}

enum rf_record_use rf_decode_record_use(const uint8_t *code, size_t bytes, size_t *length) {
  struct rf_usual usual;
  if (!rf_usual_decode(code, bytes, &usual) || usual.names_rbx)
    return rf_record_use_fully(code, bytes, length);
  *length = usual.length;
  return RF_USE_NONE;
}
