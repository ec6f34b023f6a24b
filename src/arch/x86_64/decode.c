/* See decode.h. */
#include "arch/x86_64/decode.h"

#include <Zydis/Zydis.h>
#include <dlfcn.h>

static __typeof__(&ZydisDecoderInit) decoder_init;
static __typeof__(&ZydisDecoderDecodeInstruction) decode_instruction;
static ZydisDecoder decoder;

const char *rf_decoder_open(void) {
  if (decode_instruction) return NULL;
  void *library = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) dlerror();
  decoder_init = library ? (__typeof__(decoder_init))dlsym(library, "ZydisDecoderInit") : NULL;
  void *decode = library ? dlsym(library, "ZydisDecoderDecodeInstruction") : NULL;
  if (!decoder_init || !decode) return "libZydis.so.4.0 can't be opened: install the package libzydis4.0";
  decoder_init(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
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

bool rf_decode(const uint8_t *code, size_t bytes, uintptr_t address, struct rf_instruction *out) {
  ZydisDecodedInstruction in;
  if (!ZYAN_SUCCESS(decode_instruction(&decoder, NULL, code, bytes, &in))) return false;
  *out = (struct rf_instruction){.length = in.length, .flow = (uint8_t)flow_of(&in)};
  out->padding = in.mnemonic == ZYDIS_MNEMONIC_NOP || in.mnemonic == ZYDIS_MNEMONIC_INT3;
  out->condition = in.opcode & 0xf;
  out->modrm = in.attributes & ZYDIS_ATTRIB_HAS_MODRM ? in.raw.modrm.offset : 0;
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
