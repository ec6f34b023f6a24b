/*
 * See frames.h. A stub's program is the function's own, its locations moved along with the instructions:
 *
 *   countdown, push id    CFA = rsp + 8, as at every function's entry
 *   jmp [entry]           CFA = rsp + 16
 *   body                  the function's program, where each advance goes to the moved instruction
 *
 * A search takes no lock, since unwinding happens in signal handlers: so a published region is never changed
 * while a thread may stand in it, and taken back only when all code that jumped there is gone.
 */
#include "patch/frames.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "arch/stub.h"
#include "base/memory.h"
#include "base/thread.h"
#include "elf/frame_code.h"
#include "patch/near.h"
#include "patch/patch.h"
#include "patch/spots.h"

enum {
  ADVANCE = 1,
  OFFSET = 2,
  RESTORE = 3, /* in an instruction's highest bits */
  NOP = 0x00,
  ADVANCE1 = 0x02,
  ADVANCE2 = 0x03,
  ADVANCE4 = 0x04,
  REMEMBER = 0x0a,
  RECALL = 0x0b,
  DEF_CFA = 0x0c,
  DEF_CFA_REGISTER = 0x0d,
  DEF_CFA_OFFSET = 0x0e,
  DEF_CFA_EXPRESSION = 0x0f,
  EXPRESSION = 0x10,
  VALUE_EXPRESSION = 0x16,
  ARGUMENTS_SIZE = 0x2e
};
enum { CIE_BYTES = 64, FDE_BYTES = 512, DEPTH = 4, REGIONS_MAX = 1 << 15 };

/* The CFA as the program left it; a register below 0: an expression. */
struct cfa {
  int64_t reg, offset;
};

struct copy {
  const struct rf_stub_plan *plan;
  struct rf_frame_bytes from;
  const struct rf_frame_code *original;
  size_t to; /* in the stub: where the newest advance led */
  struct cfa cfa, remembered[DEPTH];
  unsigned depth;
  uint8_t out[FDE_BYTES];
  size_t count;
  bool failed;
};

static void put(struct copy *c, const void *bytes, size_t count) {
  if (c->count + count > sizeof c->out) {
    c->failed = true;
    return;
  }
  memcpy(c->out + c->count, bytes, count);
  c->count += count;
}

static void put_byte(struct copy *c, uint8_t byte) { put(c, &byte, 1); }

static void put_uleb(struct copy *c, uint64_t value) {
  for (; value >= 0x80; value >>= 7) put_byte(c, (uint8_t)(value | 0x80));
  put_byte(c, (uint8_t)value);
}

static void advance_to(struct copy *c, size_t to) {
  uint16_t distance = (uint16_t)(to - c->to);
  if (to <= c->to) return;
  c->to = to;
  put_byte(c, ADVANCE2);
  put(c, &distance, sizeof distance);
}

static void put_cfa_offset(struct copy *c, uint64_t offset) {
  put_byte(c, DEF_CFA_OFFSET);
  put_uleb(c, offset);
}

static void skip_block(struct rf_frame_bytes *from) {
  uint64_t bytes = rf_frame_uleb(from);
  from->at = bytes > (size_t)(from->end - from->at) ? from->end : from->at + bytes;
}

static void track_cfa(struct copy *c, uint8_t op, struct rf_frame_bytes operands) {
  if (op == DEF_CFA || op == DEF_CFA_REGISTER) c->cfa.reg = (int64_t)rf_frame_uleb(&operands);
  if (op == DEF_CFA || op == DEF_CFA_OFFSET) c->cfa.offset = (int64_t)rf_frame_uleb(&operands);
  if (op == DEF_CFA_EXPRESSION) c->cfa.reg = -1;
  if (op == REMEMBER && c->depth < DEPTH) c->remembered[c->depth++] = c->cfa;
  if (op == RECALL && c->depth > 0) c->cfa = c->remembered[--c->depth];
}

/* Past an instruction's operands; false for one that can't be copied. */
static bool skip_operands(uint8_t op, struct rf_frame_bytes *from) {
  switch (op) {
  case NOP:
  case REMEMBER:
  case RECALL: return true;
  case 0x06:
  case 0x07:
  case 0x08:
  case DEF_CFA_REGISTER:
  case DEF_CFA_OFFSET:
  case ARGUMENTS_SIZE: rf_frame_uleb(from); return true;
  case 0x05:
  case 0x09:
  case DEF_CFA:
  case 0x14:
  case 0x2f:
  case 0x11:
  case 0x15: rf_frame_uleb(from), rf_frame_uleb(from); return true;
  case DEF_CFA_EXPRESSION: skip_block(from); return true;
  case EXPRESSION:
  case VALUE_EXPRESSION: rf_frame_uleb(from), skip_block(from); return true;
  }
  return false;
}

/* Bytes that an advance goes, or 0; from is behind the opcode and moves past the operand. */
static uint64_t advance_of(const struct copy *c, uint8_t op, struct rf_frame_bytes *from) {
  size_t width = op == ADVANCE1 ? 1 : op == ADVANCE2 ? 2 : op == ADVANCE4 ? 4 : 0;
  uint32_t distance = op >> 6 == ADVANCE ? op & 0x3f : 0;
  if (width > (size_t)(from->end - from->at)) return UINT32_MAX;
  memcpy(&distance, from->at, width);
  from->at += width;
  return distance * c->original->code_align;
}

/* One instruction that is no advance. */
static bool copy_one(struct copy *c, uint8_t op) {
  struct rf_frame_bytes operands = c->from;
  if (op >> 6 == OFFSET)
    rf_frame_uleb(&c->from);
  else if (op >> 6 == 0 && !skip_operands(op, &c->from))
    return false;
  put_byte(c, op);
  put(c, operands.at, (size_t)(c->from.at - operands.at));
  track_cfa(c, op, operands);
  return true;
}

/* Where the instruction that is at or behind an offset of the function came to lie; SIZE_MAX: it was not
 * moved. */
static size_t moved_to(const struct rf_stub_plan *plan, uint64_t offset) {
  for (size_t i = 0; i < plan->moves; i++)
    if (plan->move[i].from >= offset) return plan->move[i].to;
  return SIZE_MAX;
}

/* The function's program as far as its instructions were moved. */
static void copy_program(struct copy *c, uintptr_t function) {
  uint64_t at = 0, start = function - c->original->begin; /* an entry may cover several functions */
  while (c->from.at < c->from.end && !c->failed) {
    uint8_t op = *c->from.at++;
    bool advances = op >> 6 == ADVANCE || op == ADVANCE1 || op == ADVANCE2 || op == ADVANCE4;
    if (advances) {
      at += advance_of(c, op, &c->from);
      continue;
    }
    size_t to = at <= start ? c->plan->body_offset : moved_to(c->plan, at - start);
    if (to == SIZE_MAX) return;
    advance_to(c, to);
    if (!copy_one(c, op)) return;
  }
}

/* A call at the window's end is a push and a jump: between them the stack is one word deeper. */
static void describe_call(struct copy *c) {
  if (!c->plan->pushed || c->cfa.reg != RF_REG_STACK) return;
  advance_to(c, c->plan->pushed);
  put_cfa_offset(c, (uint64_t)c->cfa.offset + 8);
}

/* The initial instructions alone, for what they make of the CFA. */
static struct cfa initial_cfa(const struct rf_frame_code *original) {
  struct copy c = {.from = original->initial, .original = original, .cfa = {-1, 0}};
  while (c.from.at < c.from.end)
    if (!copy_one(&c, *c.from.at++)) break;
  return c.cfa;
}

static bool room(struct rf_frames *frames) {
  size_t needed = frames->count + CIE_BYTES * 2 + FDE_BYTES + 64;
  if (needed > frames->capacity) {
    uint8_t *grown = rf_realloc(frames->bytes, needed * 2);
    if (!grown) return false;
    frames->bytes = grown, frames->capacity = needed * 2;
  }
  if (frames->stubs < frames->table_capacity) return true;
  size_t capacity = frames->table_capacity ? frames->table_capacity * 2 : 256;
  struct rf_frame_place *grown = rf_realloc(frames->table, capacity * sizeof *grown);
  if (!grown) return false;
  frames->table = grown, frames->table_capacity = capacity;
  return true;
}

/* An entry: length, id, content, filled up to 8 bytes with nops. */
static uint32_t append(struct rf_frames *frames, uint32_t id, const uint8_t *content, size_t count) {
  uint32_t start = (uint32_t)frames->count, length = (uint32_t)((4 + 4 + count + 7) & ~(size_t)7) - 4;
  uint8_t *at = frames->bytes + start;
  memset(at, NOP, length + 4);
  memcpy(at, &length, 4);
  memcpy(at + 4, &id, 4);
  memcpy(at + 8, content, count);
  frames->count += length + 4;
  return start;
}

static uint32_t cie_for(struct rf_frames *frames, const struct rf_frame_code *original) {
  if (frames->cie.source == original->initial.at) return frames->cie.offset;
  struct copy c = {0};
  put(&c, original->signal ? "\1zRS" : "\1zR", original->signal ? 5 : 4); /* version, letters */
  put_byte(&c, 1);                                                        /* advances are bytes */
  put_byte(&c, (uint8_t)original->data_align & 0x7f);
  put_byte(&c, RF_REG_RETURN);
  put(&c, "\1\0", 2); /* one byte: absolute addresses */
  put(&c, original->initial.at, (size_t)(original->initial.end - original->initial.at));
  frames->cie.source = original->initial.at;
  return frames->cie.offset = append(frames, 0, c.out, c.count);
}

static const struct rf_frame_code *plain_frame(void) {
  static const uint8_t initial[] = {DEF_CFA, RF_REG_STACK, 8, OFFSET << 6 | RF_REG_RETURN, 1};
  static const struct rf_frame_code plain = {
      .initial = {initial, initial + sizeof initial}, .code_align = 1, .data_align = -8};
  return &plain;
}

/* Describable: the CIE fits, and the function is entered like every other. */
static bool is_usual(const struct rf_frame_code *original) {
  struct cfa cfa = initial_cfa(original);
  return original->initial.end - original->initial.at <= CIE_BYTES - 16 && original->data_align >= -64 &&
         original->data_align < 64 && cfa.reg == RF_REG_STACK && cfa.offset == 8;
}

/* The part of a stub that hands the id to the entry. */
static void describe_head(struct copy *c) {
  advance_to(c, c->plan->body_offset - RF_STUB_HEAD + RF_STUB_PUSHED);
  put_cfa_offset(c, 16);
  advance_to(c, c->plan->body_offset);
  put_cfa_offset(c, 8);
}

/* Kept in order: stubs come in ascending order, landings from anywhere. */
static void insert(struct rf_frames *frames, uintptr_t start, uint32_t entry) {
  size_t at = frames->stubs++;
  for (; at && frames->table[at - 1].start > start; at--) frames->table[at] = frames->table[at - 1];
  frames->table[at] = (struct rf_frame_place){start, entry};
}

static bool add(struct rf_frames *frames, uintptr_t start, size_t length, struct copy *c, uintptr_t code) {
  uint64_t range[2] = {start, length};
  if (!room(frames)) return false;
  put(c, range, sizeof range);
  put_byte(c, 0); /* no augmentation data */
  if (c->plan->body_offset) describe_head(c);
  copy_program(c, code);
  describe_call(c);
  if (c->failed) return false;
  uint32_t cie = cie_for(frames, c->original);
  insert(frames, start, append(frames, (uint32_t)frames->count + 4 - cie, c->out, c->count));
  return true;
}

bool rf_frames_add(struct rf_frames *frames, uintptr_t stub, const struct rf_stub_plan *plan, uintptr_t code,
                   const struct rf_frame_code *original) {
  if (!original || !is_usual(original)) original = plain_frame();
  struct copy c = {.plan = plan, .from = original->program, .original = original, .cfa = {RF_REG_STACK, 8}};
  return add(frames, stub, plan->length, &c, code);
}

bool rf_frames_add_landing(struct rf_frames *frames, uintptr_t landing, size_t bytes, uintptr_t code,
                           const struct rf_frame_code *original) {
  static const struct rf_stub_plan nothing_moved;
  if (!original || !is_usual(original)) original = plain_frame();
  struct copy c = {
      .plan = &nothing_moved, .from = original->program, .original = original, .cfa = {RF_REG_STACK, 8}};
  return add(frames, landing, bytes, &c, code);
}

/* ---- what the patcher asks ---- */

bool rf_frames_begins_as_called(const struct rf_frame_code *original) {
  struct copy c = {.from = original->program, .original = original, .cfa = initial_cfa(original)};
  while (c.from.at < c.from.end) {
    uint8_t op = *c.from.at++;
    bool advances = op >> 6 == ADVANCE || op == ADVANCE1 || op == ADVANCE2 || op == ADVANCE4;
    if (advances ? advance_of(&c, op, &c.from) != 0 : !copy_one(&c, op)) break;
  }
  return c.cfa.reg == RF_REG_STACK && c.cfa.offset == 8;
}

/* ---- what unwinders find ---- */

struct published {
  uintptr_t start, end, section, section_end;
};

static struct published *published;
static uint32_t published_count;
static uintptr_t lowest = UINTPTR_MAX, highest;
static int (*find_original)(void *address, struct dl_find_object *object);

static void widen(const struct published *fresh) {
  if (fresh->start < lowest) lowest = fresh->start;
  if (fresh->end > highest) highest = fresh->end;
}

/* In the place of one that was taken back; its end is stored last and zeroed first, so that a search sees an
 * empty range meanwhile. */
static bool reuse(const struct published *fresh) {
  for (uint32_t i = 0; i < published_count; i++) {
    if (published[i].end) continue;
    published[i].start = fresh->start;
    published[i].section = fresh->section;
    published[i].section_end = fresh->section_end;
    __atomic_store_n(&published[i].end, fresh->end, __ATOMIC_RELEASE);
    return true;
  }
  return false;
}

void rf_frames_take_back(uintptr_t region) {
  for (uint32_t i = 0; i < published_count; i++) {
    struct published *p = &published[i];
    if (p->start != region || !p->end) continue;
    __atomic_store_n(&p->end, 0, __ATOMIC_RELEASE);
    p->start = 0;
    rf_spots_forget_section(p->section);
    rf_syscall(SYS_munmap, p->section, p->section_end - p->section);
  }
}

void rf_frames_forget(uintptr_t low, uintptr_t high) { rf_spots_forget(low, high); }

static void remember(struct published fresh) {
  if (!published) published = rf_pages(REGIONS_MAX * sizeof *published);
  widen(&fresh);
  if (published && reuse(&fresh)) return;
  if (!published || published_count == REGIONS_MAX) return;
  published[published_count] = fresh;
  __atomic_store_n(&published_count, published_count + 1, __ATOMIC_RELEASE);
}

/* The header's 12 bytes, its sorted table, the entries, and the zero that ends them. */
static void write_section(uint8_t *at, const struct rf_frames *frames) {
  uint8_t *entries = at + 12 + 8 * frames->stubs;
  int32_t to_entries = (int32_t)(entries - (at + 4));
  uint32_t count = (uint32_t)frames->stubs;
  memcpy(at, "\1\x1b\3\x3b", 4); /* version; encodings: 4 bytes from here, 4 bytes, 4 bytes from the header */
  memcpy(at + 4, &to_entries, 4);
  memcpy(at + 8, &count, 4);
  for (size_t i = 0; i < frames->stubs; i++) {
    int32_t pair[2] = {(int32_t)(frames->table[i].start - (uintptr_t)at),
                       (int32_t)(entries + frames->table[i].entry - at)};
    memcpy(at + 12 + 8 * i, pair, sizeof pair);
  }
  memcpy(entries, frames->bytes, frames->count);
  memset(entries + frames->count, 0, 4);
}

/* Landings too far away for the table stay undescribed. */
static void drop_far(struct rf_frames *frames, const uint8_t *section) {
  size_t kept = 0;
  for (size_t i = 0; i < frames->stubs; i++) {
    intptr_t distance = (intptr_t)(frames->table[i].start - (uintptr_t)section);
    if (distance == (int32_t)distance) frames->table[kept++] = frames->table[i];
  }
  frames->stubs = kept;
}

static void remember_landings(const struct rf_frames *frames, uintptr_t start, uintptr_t end,
                              uintptr_t section) {
  for (size_t i = 0; i < frames->stubs; i++)
    if (frames->table[i].start < start || frames->table[i].start >= end)
      rf_spots_add(frames->table[i].start, section);
}

void rf_frames_publish(struct rf_frames *frames, uintptr_t region, size_t bytes) {
  size_t needed = (12 + 8 * frames->stubs + frames->count + 4 + 4095) & ~(size_t)4095;
  uint8_t *section = frames->stubs ? rf_near_pages(region, region + bytes, needed) : NULL;
  if (section) {
    drop_far(frames, section);
    write_section(section, frames);
    rf_syscall(SYS_mprotect, section, needed, PROT_READ);
    remember_landings(frames, region, region + bytes, (uintptr_t)section);
    remember((struct published){region, region + bytes, (uintptr_t)section, (uintptr_t)section + needed});
  }
  rf_free(frames->bytes);
  rf_free(frames->table);
  memset(frames, 0, sizeof *frames);
}

/* Regions number in the hundreds at most, and few addresses outside them lie between the first and the last.
 */
static const struct published *region_of(uintptr_t address) {
  if (address < lowest || address >= highest) return NULL;
  uint32_t count = __atomic_load_n(&published_count, __ATOMIC_ACQUIRE);
  for (uint32_t i = 0; i < count; i++)
    if (address >= published[i].start && address < published[i].end) return &published[i];
  return NULL;
}

/* In the place of the loader's function: any thread, signal-safe, errno untouched. */
int rf_find_object(void *address, struct dl_find_object *object);
int rf_find_object(void *address, struct dl_find_object *object) {
  const struct published *region = region_of((uintptr_t)address);
  uintptr_t section = region ? region->section : rf_spots_find((uintptr_t)address);
  if (!section) return find_original(address, object);
  if (!region) {
    *object = (struct dl_find_object){.dlfo_map_start = address,
                                      .dlfo_map_end = (char *)address + RF_JUMP_BYTES,
                                      .dlfo_eh_frame = (void *)section};
    return 0;
  }
  uintptr_t start = region->section < region->start ? region->section : region->start;
  uintptr_t end = region->section_end > region->end ? region->section_end : region->end;
  *object = (struct dl_find_object){
      .dlfo_map_start = (void *)start, .dlfo_map_end = (void *)end, .dlfo_eh_frame = (void *)region->section};
  return 0;
}

static uintptr_t loaders_function(void) {
  rf_internal_enter();
  void *found = dlsym(RTLD_DEFAULT, "_dl_find_object");
  if (!found) dlerror();
  rf_internal_leave();
  return (uintptr_t)found;
}

static void ignore(void *user, uint32_t id, const char *reason) { (void)user, (void)id, (void)reason; }

bool rf_frames_expose(const void *entry, bool now) {
  uintptr_t address = loaders_function();
  struct rf_patched patched;
  if (!address) return false;
  struct rf_patch_request request = {.address = address,
                                     .size = 64,
                                     .limit = 64,
                                     .entry = entry,
                                     .low = address,
                                     .high = address + 64,
                                     .anonymous = true};
  if (rf_patch_add(&request, &patched)) return false;
  memcpy(&find_original, &patched.body, sizeof patched.body);
  return !now || rf_patch_commit(ignore, NULL) == 0;
}
