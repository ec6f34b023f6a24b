/* See usual.h. */
#include "arch/x86_64/usual.h"

#include <string.h>

/* What follows an opcode; 0: it is not decoded here. */
enum form {
  PLAIN = 1,
  MODRM = 2,
  BYTE = 4,       /* an operand of one byte in the instruction */
  FOUR = 8,       /* of four */
  DISTANCE = 16,  /* that operand is a branch's distance */
  LOW = 32,       /* the opcode's lowest bits are a register */
  EXTENSION = 64, /* the ModRM byte's middle bits are none, but belong to the opcode */
};

static unsigned form_of_one_byte(uint8_t opcode) {
  static const uint8_t arithmetic[8] = {MODRM, MODRM, MODRM, MODRM, BYTE, FOUR, 0, 0};
  switch (opcode) {
  case 0x00 ... 0x3f: return arithmetic[opcode & 7];
  case 0x50 ... 0x5f: return LOW; /* push, pop */
  case 0x68: return FOUR;
  case 0x69: return MODRM | FOUR;
  case 0x6a:
  case 0xa8: return BYTE;
  case 0x6b: return MODRM | BYTE;
  case 0x70 ... 0x7f:
  case 0xeb: return BYTE | DISTANCE;
  case 0x80:
  case 0x83:
  case 0xc0:
  case 0xc1:
  case 0xc6: return MODRM | BYTE | EXTENSION;
  case 0x81:
  case 0xc7: return MODRM | FOUR | EXTENSION;
  case 0x63:
  case 0x84 ... 0x8b:
  case 0x8d: return MODRM;
  case 0x98:
  case 0x99:
  case 0xc3:
  case 0xc9: return PLAIN; /* cdqe, cqo, ret, leave */
  case 0xa9: return FOUR;
  case 0xb0 ... 0xb7: return LOW | BYTE;
  case 0xb8 ... 0xbf: return LOW | FOUR;
  case 0xd0 ... 0xd3:
  case 0xf6:
  case 0xf7:
  case 0xfe:
  case 0xff: return MODRM | EXTENSION;
  case 0xe8:
  case 0xe9: return FOUR | DISTANCE;
  }
  return 0;
}

/* Behind 0f, without a prefix. */
static unsigned form_of_two_bytes(uint8_t opcode) {
  switch (opcode) {
  case 0x10 ... 0x11: /* movups */
  case 0x1f:          /* nop */
  case 0x28 ... 0x29: /* movaps */
  case 0x2e ... 0x2f: /* ucomiss, comiss */
  case 0x40 ... 0x4f: /* cmov */
  case 0x51:
  case 0x54 ... 0x5f:
  case 0xa3: /* bt, bts, btr, btc */
  case 0xa5:
  case 0xab:
  case 0xad:
  case 0xaf ... 0xb1: /* imul, cmpxchg */
  case 0xb3:
  case 0xb6 ... 0xb7: /* movzx */
  case 0xbb ... 0xbf: /* bsf, bsr, movsx */
  case 0xc0 ... 0xc1: return MODRM;
  case 0x80 ... 0x8f: return FOUR | DISTANCE;
  case 0x90 ... 0x9f: return MODRM | EXTENSION; /* set */
  case 0xa4:
  case 0xac:
  case 0xc6: return MODRM | BYTE;
  case 0xba: return MODRM | BYTE | EXTENSION;
  case 0xc8 ... 0xcf: return LOW; /* bswap */
  }
  return 0;
}

static unsigned form_of_66(uint8_t opcode) {
  switch (opcode) {
  case 0x10 ... 0x11:
  case 0x1f:
  case 0x28 ... 0x29:
  case 0x2e ... 0x2f:
  case 0x51:
  case 0x54 ... 0x6f: /* arithmetic, punpck, pack, movd, movdqa */
  case 0x74 ... 0x76:
  case 0x7e ... 0x7f:
  case 0xd4:
  case 0xd6: /* movq */
  case 0xdb:
  case 0xdf:
  case 0xeb:
  case 0xef:
  case 0xfa ... 0xfe: return MODRM;
  case 0x70: /* pshufd */
  case 0xc6: return MODRM | BYTE;
  }
  return 0;
}

/* Scalars, mostly. */
static unsigned form_of_f2_f3(uint8_t opcode, bool f3) {
  switch (opcode) {
  case 0x1e: /* endbr64 */
  case 0x5b:
  case 0x6f: /* movdqu */
  case 0x7e ... 0x7f:
  case 0xb8: /* popcnt */
  case 0xbc ... 0xbd: return f3 ? MODRM : 0;
  case 0x10 ... 0x11:
  case 0x2a: /* cvtsi2sd */
  case 0x2c ... 0x2d:
  case 0x51:
  case 0x58 ... 0x5a:
  case 0x5c ... 0x5f: return MODRM;
  case 0x70: return MODRM | BYTE;
  }
  return 0;
}

static unsigned form_of(const struct rf_usual *u) {
  if (!u->two_bytes) return u->prefix ? 0 : form_of_one_byte(u->opcode);
  if (!u->prefix) return form_of_two_bytes(u->opcode);
  return u->prefix == 0x66 ? form_of_66(u->opcode) : form_of_f2_f3(u->opcode, u->prefix == 0xf3);
}

/* Prefixes and opcode; answers where what follows them begins. */
static size_t read_opcode(const uint8_t *code, struct rf_usual *u) {
  size_t at = 0;
  if (code[at] == 0x66 || code[at] == 0xf2 || code[at] == 0xf3) u->prefix = code[at++];
  if ((code[at] & 0xf0) == 0x40) u->rex = code[at++];
  u->two_bytes = code[at] == 0x0f;
  at += u->two_bytes;
  u->opcode = code[at++];
  return at;
}

/* Opcodes of which some forms are others' or none. */
static bool is_allowed(const struct rf_usual *u) {
  if (u->two_bytes) {
    if (u->opcode == 0x1e) return !u->rex && u->mod == 3 && u->reg == 7 && u->rm == 2;
    return u->opcode != 0xba || u->reg >= 4;
  }
  switch (u->opcode) {
  case 0x8d: return u->mod != 3;
  case 0xc6:
  case 0xc7: return u->reg == 0;
  case 0xf6:
  case 0xf7: return u->reg != 1;
  case 0xd0 ... 0xd3: return u->reg != 6;
  case 0xfe: return u->reg < 2;
  case 0xff: return u->reg != 3 && u->reg != 5 && u->reg != 7;
  }
  return true;
}

/* A REX bit makes number 3 r11, or r11's like; without REX, bytes of number 7 are bh. */
static void note_registers(struct rf_usual *u, unsigned form, uint8_t sib, bool has_sib) {
  bool bytes = !u->rex && (u->two_bytes || !(u->opcode & 1));
  bool reg = !(form & EXTENSION) && ((u->reg == 3 && !(u->rex & 4)) || (u->reg == 7 && bytes));
  bool base = u->rm == 3 && !(u->rex & 1), part = u->mod == 3 && u->rm == 7 && bytes;
  bool index = has_sib && ((((sib & 7) == 3) && !(u->rex & 1)) || ((sib >> 3 & 7) == 3 && !(u->rex & 2)));
  u->names_rbx = reg || base || part || index;
}

/* The ModRM byte at at; answers where the operands in the instruction begin behind it. */
static size_t read_modrm(const uint8_t *code, size_t at, unsigned form, struct rf_usual *u) {
  uint8_t modrm = code[at], sib = code[at + 1];
  u->modrm = (uint8_t)at++;
  u->mod = modrm >> 6, u->reg = modrm >> 3 & 7, u->rm = modrm & 7;
  bool has_sib = u->mod != 3 && u->rm == 4;
  at += has_sib;
  note_registers(u, form, sib, has_sib);
  if (u->mod == 0 && u->rm == 5) u->displacement = (uint8_t)at;
  bool wide = u->mod == 2 || (u->mod == 0 && (u->rm == 5 || (has_sib && (sib & 7) == 5)));
  return at + (wide ? 4 : u->mod == 1);
}

static uint8_t immediate_bytes(const struct rf_usual *u, unsigned form) {
  bool test = !u->two_bytes && (u->opcode & 0xfe) == 0xf6 && u->reg == 0; /* of that group alone */
  bool full = !u->two_bytes && (u->opcode & 0xf8) == 0xb8 && u->rex & 8;  /* mov r64, imm64 */
  if (test) return u->opcode & 1 ? 4 : 1;
  return full ? 8 : form & FOUR ? 4 : (form & BYTE) != 0;
}

static bool decode(const uint8_t *code, struct rf_usual *u) {
  *u = (struct rf_usual){0};
  size_t at = read_opcode(code, u);
  unsigned form = form_of(u);
  if (!form || (form & DISTANCE && u->rex)) return false;
  if (form & LOW) u->names_rbx = ((u->opcode & 7) == 3 && !(u->rex & 1)) || (u->opcode == 0xb7 && !u->rex);
  if (form & MODRM) {
    at = read_modrm(code, at, form, u);
    if (!is_allowed(u)) return false;
  }
  u->immediate_bytes = immediate_bytes(u, form);
  u->immediate = u->immediate_bytes ? (uint8_t)at : 0;
  u->relative = form & DISTANCE;
  u->length = (uint8_t)(at + u->immediate_bytes);
  return true;
}

bool rf_usual_decode(const uint8_t *code, size_t bytes, struct rf_usual *usual) {
  enum { LONGEST = 15 };
  uint8_t copy[LONGEST] = {0};
  if (bytes >= LONGEST) return decode(code, usual);
  memcpy(copy, code, bytes);
  return decode(copy, usual) && usual->length <= bytes;
}
