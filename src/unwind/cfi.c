/*
 *   .eh_frame_hdr: sorted table of (function start, FDE) ──▶ .eh_frame: FDE ──▶ CIE
 *                                                                      │         │ initial instructions
 *                                                                      ▼         ▼
 *                                                          instructions up to pc ──▶ rf_rule
 */
#include "unwind/cfi.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "unwind/cursor.h"
#include "unwind/expression.h"
#include "unwind/readable.h"

enum { ABSOLUTE = 0x00, PC_RELATIVE = 0x10, DATA_RELATIVE = 0x30, INDIRECT = 0x80, OMITTED = 0xff };
enum { HEADER_BYTES = 12, TABLE_ENCODING = 0x3b, PAIR_BYTES = 8 };
enum { REMEMBERED = 6, ENTRY_BYTES_MAX = 1 << 20 };

/* What a CIE and an FDE of it say. */
struct entry {
  uintptr_t begin, size; /* the code that it covers */
  uint64_t code_align;
  int64_t data_align;
  uint8_t encoding;
  bool signal, augmented;
  struct rf_cursor initial, instructions;
};

/* A run of the instructions. */
struct program {
  const struct entry *entry;
  uintptr_t lookup, pc, at;
  struct rf_rule now, initial;
  struct rf_rule remembered[REMEMBERED];
  unsigned depth;
};

static bool inside(const struct rf_object *object, uintptr_t start, uintptr_t bytes) {
  return start >= object->start && start < object->end && bytes <= object->end - start &&
         rf_range_readable(start, bytes);
}

/* A cursor over the entry (CIE or FDE) at start, past its length. */
static bool open_entry(const struct rf_object *object, uintptr_t start, struct rf_cursor *cursor) {
  uint32_t length;
  if (!inside(object, start, sizeof length)) return false;
  memcpy(&length, (const void *)start, sizeof length);
  if (length < 4 || length > ENTRY_BYTES_MAX || !inside(object, start + 4, length)) return false;
  *cursor = (struct rf_cursor){(const uint8_t *)start + 4, (const uint8_t *)start + 4 + length, false};
  return true;
}

static uintptr_t take_plain(struct rf_cursor *from, uint8_t format) {
  switch (format & 0x0f) {
  case 0x00:
  case 0x04:
  case 0x0c: return rf_take(from, 8);
  case 0x01: return rf_take_uleb(from);
  case 0x02: return rf_take(from, 2);
  case 0x03: return rf_take(from, 4);
  case 0x09: return (uintptr_t)rf_take_sleb(from);
  case 0x0a: return (uintptr_t)rf_take_signed(from, 2);
  case 0x0b: return (uintptr_t)rf_take_signed(from, 4);
  }
  from->bad = true;
  return 0;
}

/* A pointer in one of the DW_EH_PE encodings; data: what data-relative ones are relative to. */
static uintptr_t take_pointer(struct rf_cursor *from, uint8_t encoding, uintptr_t data) {
  uintptr_t here = (uintptr_t)from->at, value = take_plain(from, encoding);
  uint8_t relative = encoding & 0x70;
  if (relative == PC_RELATIVE) return value + here;
  if (relative == DATA_RELATIVE && data) return value + data;
  if (relative != ABSOLUTE || encoding & INDIRECT) from->bad = true;
  return value;
}

/* The augmentation string and the data that it announces. */
static void read_augmentation(struct rf_cursor *cie, const char *letters, struct entry *entry) {
  entry->augmented = letters[0] == 'z';
  if (!entry->augmented) {
    cie->bad = cie->bad || letters[0] != 0;
    return;
  }
  uint64_t bytes = rf_take_uleb(cie);
  if (bytes > (uint64_t)(cie->end - cie->at)) cie->bad = true;
  if (cie->bad) return;
  struct rf_cursor data = {cie->at, cie->at + bytes, false};
  cie->at += bytes;
  for (const char *letter = letters + 1; *letter; letter++) switch (*letter) {
    case 'L': rf_take(&data, 1); break;
    case 'P': take_plain(&data, (uint8_t)rf_take(&data, 1)); break;
    case 'R': entry->encoding = (uint8_t)rf_take(&data, 1); break;
    case 'S': entry->signal = true; break;
    default: return; /* unknown letters: their data are skipped */
    }
  cie->bad = cie->bad || data.bad;
}

static bool read_cie(const struct rf_object *object, uintptr_t start, struct entry *entry) {
  struct rf_cursor cie;
  if (!open_entry(object, start, &cie) || rf_take(&cie, 4) != 0) return false;
  uint8_t version = (uint8_t)rf_take(&cie, 1);
  if (version != 1 && version != 3 && version != 4) return false;
  const char *letters = (const char *)cie.at;
  const uint8_t *nul = memchr(cie.at, 0, (size_t)(cie.end - cie.at));
  if (!nul) return false;
  cie.at = nul + 1;
  if (version == 4 && rf_take(&cie, 2) != 8) return false; /* address size 8, no segments */
  entry->code_align = rf_take_uleb(&cie);
  entry->data_align = rf_take_sleb(&cie);
  uint64_t reg = version == 1 ? rf_take(&cie, 1) : rf_take_uleb(&cie);
  read_augmentation(&cie, letters, entry);
  entry->initial = cie;
  return !cie.bad && reg == RF_REG_RETURN;
}

static bool read_fde(const struct rf_object *object, uintptr_t start, struct entry *entry) {
  struct rf_cursor fde;
  memset(entry, 0, sizeof *entry);
  if (!open_entry(object, start, &fde)) return false;
  uintptr_t here = (uintptr_t)fde.at, back = rf_take(&fde, 4);
  if (back == 0 || !read_cie(object, here - back, entry)) return false;
  entry->begin = take_pointer(&fde, entry->encoding, 0);
  entry->size = take_plain(&fde, entry->encoding & 0x0f);
  if (entry->augmented) {
    uint64_t bytes = rf_take_uleb(&fde);
    if (bytes > (uint64_t)(fde.end - fde.at)) return false;
    fde.at += bytes;
  }
  entry->instructions = fde;
  return !fde.bad;
}

/* Number n of the sorted table's pairs: field 0 is the function's start, 1 its FDE. */
static bool pair_field(const struct rf_object *object, uintptr_t table, uint64_t n, int field,
                       uintptr_t *value) {
  uintptr_t at = table + n * PAIR_BYTES + 4u * (unsigned)field;
  int32_t distance;
  if (!inside(object, at, sizeof distance)) return false;
  memcpy(&distance, (const void *)at, sizeof distance);
  *value = (uintptr_t)object->eh_frame_hdr + (uintptr_t)(intptr_t)distance;
  return true;
}

/* The FDE whose function is the last to start at or before lookup. */
static int search_table(const struct rf_object *object, uintptr_t table, uint64_t count, uintptr_t lookup,
                        uintptr_t *fde) {
  uint64_t low = 0, high = count;
  while (low < high) {
    uint64_t middle = low + (high - low) / 2;
    uintptr_t start;
    if (!pair_field(object, table, middle, 0, &start)) return -EINVAL;
    if (start <= lookup)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return -ENOENT;
  return pair_field(object, table, low - 1, 1, fde) ? 0 : -EINVAL;
}

/* Without a sorted table: every entry from the section's start. */
static int search_all(const struct rf_object *object, uintptr_t at, uintptr_t lookup, struct entry *entry) {
  struct rf_cursor cursor;
  while (open_entry(object, at, &cursor)) {
    at = (uintptr_t)cursor.end;
    if (rf_take(&cursor, 4) == 0) continue;
    if (read_fde(object, (uintptr_t)cursor.at - 8, entry) && lookup - entry->begin < entry->size) return 0;
  }
  return -ENOENT;
}

static int find_entry(const struct rf_object *object, uintptr_t lookup, struct entry *entry) {
  uintptr_t header = (uintptr_t)object->eh_frame_hdr, fde;
  if (!inside(object, header, HEADER_BYTES)) return -EINVAL;
  const uint8_t *bytes = object->eh_frame_hdr;
  struct rf_cursor cursor = {bytes + 4, bytes + HEADER_BYTES + 8, false};
  if (bytes[0] != 1 || !inside(object, header, HEADER_BYTES + 8)) return -EINVAL;
  uintptr_t section = take_pointer(&cursor, bytes[1], header);
  if (bytes[2] == OMITTED || bytes[3] != TABLE_ENCODING)
    return cursor.bad ? -EINVAL : search_all(object, section, lookup, entry);
  uint64_t count = take_pointer(&cursor, bytes[2], header);
  if (cursor.bad || count > (object->end - object->start) / PAIR_BYTES) return -EINVAL;
  int error = search_table(object, (uintptr_t)cursor.at, count, lookup, &fde);
  if (error) return error;
  if (!read_fde(object, fde, entry)) return -EINVAL;
  return lookup - entry->begin < entry->size ? 0 : -ENOENT;
}

/* The place for a symbolic value; false where it is of another shape, or too large. */
static bool place_of(const struct rf_value *value, struct rf_place *place) {
  if (value->kind == RF_CONSTANT || value->offset != (int32_t)value->offset ||
      value->add != (int32_t)value->add)
    return false;
  place->base = value->reg;
  place->deref = value->kind == RF_LOADED;
  place->offset = (int32_t)value->offset;
  place->add = (int32_t)value->add;
  return true;
}

static bool take_expression(struct rf_cursor *from, struct program *p, bool push_cfa, bool at,
                            struct rf_place *place) {
  const uint8_t *start = from->at;
  uint64_t bytes = rf_take_uleb(from);
  if (from->bad || bytes > (uint64_t)(from->end - from->at)) return false;
  struct rf_expression_context context = {.pc = p->pc, .push_cfa = push_cfa};
  struct rf_value value;
  memset(place, 0, sizeof *place);
  if (rf_expression(&context, from->at, from->at + bytes, &value) && place_of(&value, place)) {
    place->how = at ? RF_AT : RF_IS;
  } else {
    place->how = at ? RF_AT_EXPRESSION : RF_IS_EXPRESSION;
    place->expression = start;
  }
  from->at += bytes;
  return true;
}

static bool set(struct program *p, uint64_t reg, enum rf_how how, uint8_t base, int64_t offset) {
  if (offset != (int32_t)offset) return false;
  if (reg < RF_REGISTERS) p->now.at[reg] = rf_place(how, base, (int32_t)offset);
  return true; /* vector registers are nobody's base */
}

static bool set_cfa(struct program *p, uint64_t reg, int64_t offset) {
  if (reg > RF_REG_RETURN || offset != (int32_t)offset) return false;
  p->now.cfa = rf_place(RF_IS, (int)reg, (int32_t)offset);
  return true;
}

static void restore(struct program *p, uint64_t reg) {
  if (reg < RF_REGISTERS) p->now.at[reg] = p->initial.at[reg];
}

static int64_t scaled(const struct program *p, int64_t value) {
  return (int64_t)((uint64_t)value * (uint64_t)p->entry->data_align);
}

static bool remember(struct program *p) {
  if (p->depth == REMEMBERED) return false;
  p->remembered[p->depth++] = p->now;
  return true;
}

static bool recall(struct program *p) {
  if (p->depth == 0) return false;
  p->now = p->remembered[--p->depth];
  return true;
}

static bool set_expression(struct program *p, struct rf_cursor *from, bool at) {
  uint64_t reg = rf_take_uleb(from);
  struct rf_place place;
  if (!take_expression(from, p, true, at, &place)) return false;
  if (reg < RF_REGISTERS) p->now.at[reg] = place;
  return true;
}

/* Instructions that define the CFA. */
static bool step_cfa(struct program *p, struct rf_cursor *from, uint8_t op) {
  struct rf_place *cfa = &p->now.cfa;
  uint64_t reg = op == 0x0c || op == 0x0d || op == 0x12 ? rf_take_uleb(from) : cfa->base;
  switch (op) {
  case 0x0c: return set_cfa(p, reg, (int64_t)rf_take_uleb(from));
  case 0x0d: return cfa->how == RF_IS && !cfa->deref && set_cfa(p, reg, cfa->offset);
  case 0x0e: return cfa->how == RF_IS && !cfa->deref && set_cfa(p, reg, (int64_t)rf_take_uleb(from));
  case 0x12: return set_cfa(p, reg, scaled(p, rf_take_sleb(from)));
  case 0x13: return cfa->how == RF_IS && !cfa->deref && set_cfa(p, reg, scaled(p, rf_take_sleb(from)));
  case 0x0f: return take_expression(from, p, false, false, cfa);
  }
  return false;
}

/* Instructions that say where a register is. */
static bool step_register(struct program *p, struct rf_cursor *from, uint8_t op) {
  uint64_t reg = rf_take_uleb(from);
  switch (op) {
  case 0x05: return set(p, reg, RF_AT, RF_BASE_CFA, scaled(p, (int64_t)rf_take_uleb(from)));
  case 0x06: restore(p, reg); return true;
  case 0x07: return set(p, reg, RF_UNDEFINED, 0, 0);
  case 0x08: return set(p, reg, RF_SAME, 0, 0);
  case 0x09: {
    uint64_t holder = rf_take_uleb(from);
    return holder < RF_REG_RETURN && set(p, reg, RF_IS, (uint8_t)holder, 0);
  }
  case 0x11: return set(p, reg, RF_AT, RF_BASE_CFA, scaled(p, rf_take_sleb(from)));
  case 0x14: return set(p, reg, RF_IS, RF_BASE_CFA, scaled(p, (int64_t)rf_take_uleb(from)));
  case 0x15: return set(p, reg, RF_IS, RF_BASE_CFA, scaled(p, rf_take_sleb(from)));
  case 0x2f: return set(p, reg, RF_AT, RF_BASE_CFA, -scaled(p, (int64_t)rf_take_uleb(from)));
  }
  return false;
}

static bool step_other(struct program *p, struct rf_cursor *from, uint8_t op) {
  switch (op) {
  case 0x00: return true;
  case 0x01: p->at = take_pointer(from, p->entry->encoding, 0); return true;
  case 0x02:
  case 0x03:
  case 0x04: p->at += rf_take(from, op == 0x04 ? 4 : op - 1u) * p->entry->code_align; return true;
  case 0x0a: return remember(p);
  case 0x0b: return recall(p);
  case 0x10: return set_expression(p, from, true);
  case 0x16: return set_expression(p, from, false);
  case 0x2e: rf_take_uleb(from); return true; /* the arguments' size: for callees that pop theirs only */
  case 0x0c:
  case 0x0d:
  case 0x0e:
  case 0x0f:
  case 0x12:
  case 0x13: return step_cfa(p, from, op);
  }
  return step_register(p, from, op);
}

/* Runs instructions up to the address that is looked for. */
static bool run(struct program *p, struct rf_cursor from) {
  while (from.at < from.end && p->at <= p->lookup) {
    uint8_t op = (uint8_t)rf_take(&from, 1), low = op & 0x3f;
    bool fine = true;
    switch (op >> 6) {
    case 1: p->at += low * p->entry->code_align; break;
    case 2: fine = set(p, low, RF_AT, RF_BASE_CFA, scaled(p, (int64_t)rf_take_uleb(&from))); break;
    case 3: restore(p, low); break;
    default: fine = step_other(p, &from, op);
    }
    if (!fine || from.bad) return false;
  }
  return true;
}

int rf_cfi_rule(const struct rf_object *object, uintptr_t lookup, uintptr_t pc, struct rf_rule *rule) {
  struct entry entry;
  struct program p;
  int error = find_entry(object, lookup, &entry);
  if (error) return error;
  p.entry = &entry;
  p.lookup = lookup;
  p.pc = pc;
  p.at = entry.begin;
  p.depth = 0;
  memset(&p.now, 0, sizeof p.now);
  p.now.at[RF_REG_STACK] = rf_place(RF_IS, RF_BASE_CFA, 0);
  p.initial = p.now;
  if (!run(&p, entry.initial)) return -EINVAL;
  p.initial = p.now;
  p.at = entry.begin;
  if (!run(&p, entry.instructions)) return -EINVAL;
  *rule = p.now;
  rule->signal = entry.signal;
  return p.now.cfa.how == RF_IS || p.now.cfa.how == RF_IS_EXPRESSION ? 0 : -EINVAL;
}
