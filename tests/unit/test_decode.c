/*
 * The quick ways of looking at code say what the slow ones do: the decoder of usual instructions is held to
 * Zydis over all code of this process and over bytes at random, the scan for branches to a loop over single
 * bytes.
 */
#include <criterion/criterion.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "arch/slots.h"
#include "arch/stub.h"
#include "arch/x86_64/label_scan.h"
#include "arch/x86_64/usual.h"

static void open_decoder(void) { cr_assert_null(rf_decoder_open()); }

TestSuite(decode, .init = open_decoder);

static size_t instructions, usual_ones;

/* Answers its length, 1 where it is none. */
static size_t compare(const uint8_t *code, size_t bytes) {
  struct rf_instruction quick, full;
  struct rf_usual usual;
  uintptr_t address = (uintptr_t)code;
  memset(&quick, 0, sizeof quick), memset(&full, 0, sizeof full);
  bool known = rf_usual_decode(code, bytes, &usual), decoded = rf_decode_fully(code, bytes, address, &full);
  bool agreed = rf_decode(code, bytes, address, &quick) == decoded;
  if (agreed && decoded)
    agreed = quick.length == full.length && quick.flow == full.flow &&
             quick.displacement == full.displacement && quick.immediate == full.immediate &&
             quick.immediate_bytes == full.immediate_bytes && quick.condition == full.condition &&
             quick.modrm == full.modrm && quick.padding == full.padding && quick.by_table == full.by_table &&
             quick.target == full.target;
  size_t length, full_length;
  enum rf_record_use use = rf_decode_record_use(code, bytes, &length),
                     full_use = rf_record_use_fully(code, bytes, &full_length);
  cr_assert(
      agreed && use == full_use && length == full_length,
      "%02x %02x %02x %02x %02x %02x %02x %02x %02x of %zu: length %d not %d, flow %d not %d, use %d not %d",
      code[0], code[1], code[2], code[3], code[4], code[5], code[6], code[7], code[8], bytes, quick.length,
      full.length, quick.flow, full.flow, use, full_use);
  instructions += decoded;
  usual_ones += known;
  return decoded ? full.length : 1;
}

static int compare_module(struct dl_phdr_info *info, size_t size, void *user) {
  (void)size, (void)user;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    if (header->p_type != PT_LOAD || !(header->p_flags & PF_X)) continue;
    const uint8_t *code = (const uint8_t *)info->dlpi_addr + header->p_vaddr;
    for (size_t at = 0; at < header->p_memsz;) at += compare(code + at, header->p_memsz - at);
  }
  return 0;
}

Test(decode, usual_instructions_are_what_zydis_says) {
  dl_iterate_phdr(compare_module, NULL);
  cr_assert_gt(instructions, 300000, "%zu instructions", instructions);
  cr_assert_gt(usual_ones, instructions / 10 * 8, "%zu usual ones of %zu", usual_ones, instructions);
}

Test(decode, bytes_at_random_are_what_zydis_says) {
  uint8_t code[24];
  srandom(7);
  for (int i = 0; i < 3000000; i++) {
    for (size_t k = 0; k < sizeof code; k += 2) {
      long word = random();
      code[k] = (uint8_t)word, code[k + 1] = (uint8_t)(word >> 8);
    }
    if (i % 4 == 1) code[0] = 0x0f;
    if (i % 4 == 2) code[0] = (uint8_t)(0x40 | (code[0] & 15)), code[1] = i % 8 == 2 ? 0x0f : code[1];
    if (i % 8 == 3) code[0] = (const uint8_t[]){0x66, 0xf2, 0xf3}[code[0] % 3], code[1] = 0x0f;
    compare(code, i % 16 ? 15 : (size_t)(code[20] % 15) + 1);
  }
  cr_assert_gt(usual_ones, 300000, "%zu usual ones", usual_ones);
}

/* ---- branches ---- */

enum { TEXT = 3000, MAP = TEXT / 64 + 1 };

struct found {
  size_t count, from[20 * TEXT], to[20 * TEXT];
};

static void note(void *user, size_t from, size_t to) {
  struct found *found = user;
  found->from[found->count] = from;
  found->to[found->count++] = to;
}

/* What reads like a branch at text[from]: how many bytes, of which the last ones are the distance; 0:
 * nothing. */
static size_t branch_bytes(const uint8_t *text, size_t from, bool calls, size_t *distance_bytes) {
  uint8_t first = text[from];
  *distance_bytes = 1;
  if ((first >= 0x70 && first <= 0x7f) || first == 0xeb || (first >= 0xe0 && first <= 0xe3)) return 2;
  *distance_bytes = 4;
  if (first == 0xe9 || (calls && first == 0xe8)) return 5;
  return first == 0x0f && (text[from + 1] & 0xf0) == 0x80 ? 6 : 0;
}

static void find_slowly(const uint8_t *text, size_t start, size_t end, bool calls, const uint64_t *targets,
                        struct found *found) {
  for (size_t from = start; from < end; from++) {
    size_t wide, bytes = branch_bytes(text, from, calls, &wide);
    if (!bytes || from + bytes > end) continue;
    int32_t distance = (int8_t)text[from + 1];
    if (wide == 4) memcpy(&distance, text + from + bytes - 4, 4);
    size_t to = from + bytes + (size_t)(intptr_t)distance;
    if (to < TEXT && targets[to / 64] >> (to % 64) & 1) note(found, from, to);
  }
}

/* Half the bytes begin branches, and long distances are mostly short enough to stay inside. */
static void fill(uint8_t *text) {
  static const uint8_t firsts[] = {0xe9, 0xe8, 0x0f, 0xeb, 0x74, 0xe2, 0x85, 0x00, 0xff};
  for (size_t i = 0; i < TEXT; i++) text[i] = random() % 2 ? firsts[random() % 9] : (uint8_t)random();
}

Test(decode, the_scan_finds_what_a_loop_over_bytes_finds) {
  static uint8_t text[TEXT + 8];
  static struct found quick, slow;
  size_t all = 0;
  srandom(11);
  for (int round = 0; round < 400; round++) {
    uint64_t targets[MAP] = {0};
    fill(text);
    for (int i = 0; i < round % 50; i++) {
      size_t to = (size_t)random() % TEXT;
      targets[to / 64] |= (uint64_t)1 << (to % 64);
    }
    size_t start = (size_t)random() % 200, end = TEXT - (size_t)random() % 200;
    struct rf_scan_range range = {text, start, end, round % 2, false};
    quick.count = slow.count = 0;
    rf_branch_scan(&range, targets, TEXT, note, &quick);
    find_slowly(text, start, end, range.calls, targets, &slow);
    cr_assert_eq(quick.count, slow.count, "%zu found, not %zu, in round %d", quick.count, slow.count, round);
    for (size_t i = 0; i < slow.count; i++)
      cr_assert(quick.from[i] == slow.from[i] && quick.to[i] == slow.to[i],
                "round %d: %zu to %zu, not %zu to %zu", round, quick.from[i], quick.to[i], slow.from[i],
                slow.to[i]);
    all += slow.count;
  }
  cr_assert_gt(all, 1000, "%zu branches", all);
}

static void note_slot(void *user, uintptr_t operand, uintptr_t slot) {
  note(user, (size_t)operand, (size_t)slot);
}

Test(decode, calls_through_slots_are_all_found) {
  static uint8_t text[TEXT];
  static struct found quick, slow;
  size_t all = 0;
  srandom(12);
  for (int round = 0; round < 300; round++) {
    fill(text);
    for (int i = 0; i < 60; i++) {
      size_t at = (size_t)random() % (TEXT - 8);
      memcpy(text + at, random() % 2 ? "\xff\x15" : "\xff\x25", 2);
      memcpy(text + at + 2, &(int32_t){(int32_t)(random() % 4000) - 2000}, 4);
    }
    size_t bytes = TEXT - (size_t)random() % 40, start = (size_t)random() % 40;
    uintptr_t low = (uintptr_t)text + (size_t)random() % TEXT, high = low + (size_t)random() % 2000;
    quick.count = slow.count = 0;
    rf_slot_scan(text + start, bytes - start, low, high, note_slot, &quick);
    for (size_t from = start; from + 6 <= bytes; from++) {
      int32_t distance;
      memcpy(&distance, text + from + 2, sizeof distance);
      uintptr_t place = (uintptr_t)text + from + 6 + (uintptr_t)(intptr_t)distance;
      bool through = text[from] == 0xff && (text[from + 1] == 0x15 || text[from + 1] == 0x25);
      if (through && place >= low && place < high) note(&slow, (size_t)text + from + 2, place);
    }
    cr_assert_eq(quick.count, slow.count, "%zu found, not %zu, in round %d", quick.count, slow.count, round);
    for (size_t i = 0; i < slow.count; i++)
      cr_assert(quick.from[i] == slow.from[i] && quick.to[i] == slow.to[i], "round %d", round);
    all += slow.count;
  }
  cr_assert_gt(all, 500, "%zu calls", all);
}

Test(decode, the_way_to_the_loader_is_known_by_its_index) {
  static const uint8_t plain[16] = {0x68, 7, 0, 0, 0, 0xe9},
                       endbr[16] = {0xf3, 0x0f, 0x1e, 0xfa, 0x68, 7, 0, 0, 0},
                       mold[16] = {0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x53, 0xff, 0x35},
                       other[16] = {0x55, 0x68, 7};
  cr_assert(rf_slot_binds(plain, 16, 7) && rf_slot_binds(endbr, 16, 7) && rf_slot_binds(mold, 16, 7));
  cr_assert(!rf_slot_binds(plain, 16, 8) && !rf_slot_binds(other, 16, 7) && !rf_slot_binds(plain, 8, 7));
}

/* ---- addresses ---- */

static struct {
  size_t count, from[TEXT];
  uintptr_t to[TEXT];
} addresses;

static void note_address(void *user, size_t from, size_t to, bool indexed) {
  (void)indexed;
  if (addresses.count && from <= addresses.from[addresses.count - 1]) return; /* some are found twice */
  addresses.from[addresses.count] = from;
  addresses.to[addresses.count++] = to + (uintptr_t)user;
}

/* Numbers that are addresses in a range, whether or not they all have the same highest byte. */
Test(decode, the_scan_finds_all_addresses_in_a_range) {
  static const uintptr_t ranges[][2] = {{0x400000, 0xac3000},
                                        {0x400000, 0x403000},
                                        {0xfff000, 0x1003000},
                                        {0x10000, 0x30000000},
                                        {0x1fff0, 0x2f0010}};
  static uint8_t text[TEXT + 8];
  size_t all = 0;
  srandom(13);
  for (int round = 0; round < 500; round++) {
    const uintptr_t *range = ranges[round % 5];
    for (size_t i = 0; i < TEXT; i++) text[i] = random() % 2 ? 0 : (uint8_t)random();
    for (int i = 0; i < 200; i++) {
      uint32_t value = (uint32_t)(range[0] - 4 + (uintptr_t)random() % (range[1] - range[0] + 8));
      memcpy(text + (size_t)random() % (TEXT - 4), &value, sizeof value);
    }
    struct rf_scan_range where = {text, 0, TEXT, false};
    addresses.count = 0;
    rf_absolute_scan(&where, range[0], range[1], note_address, text);
    size_t found = 0;
    for (size_t from = 0; from + 4 <= TEXT; from++) {
      uint32_t value;
      memcpy(&value, text + from, sizeof value);
      if (value < range[0] || value >= range[1]) continue;
      cr_assert(found < addresses.count && addresses.from[found] == from && addresses.to[found] == value,
                "round %d: %x at %zu", round, value, from);
      found++;
    }
    all += found;
  }
  cr_assert_gt(all, 10000, "%zu addresses", all);
}
