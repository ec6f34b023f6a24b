/* Rules made, condensed and remembered. */
#include "unwind/rules.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "unwind/cfi.h"
#include "unwind/objects.h"
#include "unwind/readable.h"

enum { TABLES = 3, FIRST_BITS = 12, GROWTH_BITS = 3, POOL_BITS = 12, POOL_PROBES = 16 };
enum { EMPTY, WRITING, READY };
#define BUSY (~(uint64_t)0)
#define ADDRESS_END ((uintptr_t)1 << 47)

struct pooled {
  uint32_t state;
  struct rf_rule rule;
};

static struct rf_rule_table tables[TABLES];
static const struct rf_rule_table *current;
static struct pooled *pool;

static bool open_table(unsigned number) {
  unsigned bits = FIRST_BITS + GROWTH_BITS * number;
  struct rf_rule_slot *slots = rf_pages(sizeof(struct rf_rule_slot) << bits);
  if (!slots) return false;
  tables[number].shift = 64 - bits;
  tables[number].slots = slots;
  __atomic_store_n(&current, &tables[number], __ATOMIC_RELEASE);
  return true;
}

int rf_rules_start(void) {
  if (current) return 0;
  if (!pool) pool = rf_pages(sizeof(struct pooled) << POOL_BITS);
  return pool && open_table(0) ? 0 : -ENOMEM;
}

const struct rf_rule_table *rf_rules_table(void) { return __atomic_load_n(&current, __ATOMIC_ACQUIRE); }

const struct rf_rule *rf_rules_pool(uint64_t word) { return &pool[word >> 8 & ((1u << POOL_BITS) - 1)].rule; }

/* One of those that find the table too small opens the next; a failure is final. */
static void grow(const struct rf_rule_table *table) {
  unsigned next = (unsigned)(table - tables) + 1;
  static uint32_t claimed;
  uint32_t expected = next - 1;
  if (next < TABLES &&
      __atomic_compare_exchange_n(&claimed, &expected, next, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
    open_table(next);
}

/* A slot for key: a free one, one of an earlier generation, or one that must go. */
static struct rf_rule_slot *place_for(struct rf_rule_table *table, uint64_t key, uint64_t *old) {
  for (unsigned way = 0; way < RF_RULE_WAYS; way++) {
    struct rf_rule_slot *slot = rf_rules_slot(table, key, way);
    *old = __atomic_load_n(&slot->key, __ATOMIC_RELAXED);
    if (*old == 0 || (*old != BUSY && *old >> 48 != key >> 48)) return slot;
  }
  uint32_t evicted = __atomic_fetch_add(&table->evicted, 1, __ATOMIC_RELAXED);
  if (evicted > (uint32_t)1 << (64 - table->shift) >> 3) grow(table);
  struct rf_rule_slot *slot = rf_rules_slot(table, key, evicted % RF_RULE_WAYS);
  *old = __atomic_load_n(&slot->key, __ATOMIC_RELAXED);
  return *old == BUSY ? NULL : slot;
}

static void insert(uint64_t key, const struct rf_found *found) {
  struct rf_rule_table *table = (struct rf_rule_table *)rf_rules_table();
  uint64_t old;
  struct rf_rule_slot *slot = place_for(table, key, &old);
  if (!slot ||
      !__atomic_compare_exchange_n(&slot->key, &old, BUSY, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
    return;
  __atomic_store_n(&slot->word, found->word, __ATOMIC_RELEASE);
  __atomic_store_n(&slot->wide, found->wide, __ATOMIC_RELEASE);
  __atomic_store_n(&slot->key, key, __ATOMIC_RELEASE);
}

static uint64_t hash(const struct rf_rule *rule) {
  uint64_t words[sizeof *rule / 8], sum = 0;
  memcpy(words, rule, sizeof words);
  for (size_t i = 0; i < sizeof words / 8; i++) sum = (sum ^ words[i]) * 0x9e3779b97f4a7c15u;
  return sum >> 32;
}

/* The number of an equal rule in the pool, put there if need be; negative without room. */
static int pool_number(const struct rf_rule *rule) {
  uint64_t first = hash(rule);
  for (unsigned i = 0; i < POOL_PROBES; i++) {
    unsigned number = (unsigned)(first + i) & ((1u << POOL_BITS) - 1);
    struct pooled *slot = &pool[number];
    uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);
    if (state == EMPTY && __atomic_compare_exchange_n(&slot->state, &state, WRITING, false, __ATOMIC_ACQ_REL,
                                                      __ATOMIC_ACQUIRE)) {
      slot->rule = *rule;
      __atomic_store_n(&slot->state, READY, __ATOMIC_RELEASE);
      return (int)number;
    }
    if (state == READY && !memcmp(&slot->rule, rule, sizeof *rule)) return (int)number;
  }
  return -1;
}

/* How far below the CFA a register is saved, in units of 8 bytes; 0: unchanged; negative: not that simple. */
static int slot_of(const struct rf_place *place) {
  if (place->how == RF_SAME || place->how == RF_UNDEFINED) return 0;
  if (place->how != RF_AT || place->base != RF_BASE_CFA || place->deref) return -1;
  return place->offset < 0 && place->offset % 8 == 0 && place->offset > -0x80000 ? -place->offset / 8 : -1;
}

static bool default_stack(const struct rf_place *place) {
  return place->how == RF_IS && place->base == RF_BASE_CFA && !place->deref && place->offset == 0;
}

/* Whether the caller's pc, stack pointer and CFA are where every compiler puts them. */
static bool common(const struct rf_rule *rule) {
  const struct rf_place *cfa = &rule->cfa, *ret = &rule->at[RF_REG_RETURN];
  if (rule->signal || cfa->how != RF_IS || cfa->deref || cfa->offset < 0 || cfa->offset % 8 ||
      cfa->offset >= 1 << 27)
    return false;
  if (cfa->base != RF_REG_FRAME && (cfa->base != RF_REG_STACK || cfa->offset == 0)) return false;
  for (int reg = 0; reg < RF_REG_RETURN; reg++)
    if (!(RF_CALLEE_SAVED >> reg & 1) && rule->at[reg].how != RF_SAME && rule->at[reg].how != RF_UNDEFINED)
      return false;
  return slot_of(ret) == 1 && default_stack(&rule->at[RF_REG_STACK]);
}

static bool needs_more(const struct rf_place *place) {
  switch (place->how) {
  case RF_AT_EXPRESSION:
  case RF_IS_EXPRESSION: return true;
  case RF_AT:
  case RF_IS:
    return place->base != RF_BASE_CFA && place->base != RF_REG_STACK && place->base != RF_REG_FRAME &&
           place->base != RF_REG_RECORD;
  }
  return false;
}

/* Whether a place is [RECORD + n], n small: loaded as a value, or the place where a register is saved. */
static bool in_record(const struct rf_place *place, enum rf_how how, bool deref) {
  return place->how == how && place->base == RF_REG_RECORD && place->deref == deref && place->offset >= 0 &&
         place->offset < 256 && place->offset % 8 == 0;
}

/* The offsets of an entry's rule, or 0 for other rules. */
static uint64_t entry_word(const struct rf_rule *rule) {
  const struct rf_place *sp = &rule->at[RF_REG_STACK], *ret = &rule->at[RF_REG_RETURN],
                        *rec = &rule->at[RF_REG_RECORD];
  if (rule->signal || !in_record(&rule->cfa, RF_IS, true) || !in_record(sp, RF_IS, true) || sp->add < 0 ||
      sp->add > 255)
    return 0;
  if (!in_record(ret, RF_AT, false) || !in_record(rec, RF_AT, false)) return 0;
  for (int reg = 0; reg < RF_REG_RETURN; reg++)
    if (reg != RF_REG_STACK && reg != RF_REG_RECORD && rule->at[reg].how != RF_SAME) return 0;
  return RF_WORD_ENTRY | (uint64_t)sp->offset << 24 | (uint64_t)ret->offset << 32 |
         (uint64_t)rec->offset << 40 | (uint64_t)sp->add << 48;
}

static struct rf_found pool_word(const struct rf_rule *rule) {
  bool more = needs_more(&rule->cfa) || needs_more(&rule->at[RF_REG_STACK]) ||
              needs_more(&rule->at[RF_REG_FRAME]) || needs_more(&rule->at[RF_REG_RECORD]) ||
              needs_more(&rule->at[RF_REG_RETURN]);
  return (struct rf_found){.word = RF_KIND_POOL | (more ? RF_WORD_NEEDS_ALL : 0) | entry_word(rule)};
}

struct rf_found rf_rules_condense(const struct rf_rule *rule) {
  if (rule->at[RF_REG_RETURN].how == RF_UNDEFINED || rule->at[RF_REG_RETURN].how == RF_SAME)
    return (struct rf_found){.word = RF_KIND_OUTERMOST};
  int frame = slot_of(&rule->at[RF_REG_FRAME]), record = slot_of(&rule->at[RF_REG_RECORD]);
  if (!common(rule) || frame < 0 || record < 0) return pool_word(rule);
  bool frame_based = rule->cfa.base == RF_REG_FRAME;
  int lowest =
      frame_based ? 0x10000 : rule->cfa.offset / 8; /* slots below the stack pointer need a careful look */
  uint64_t wide = 0;
  for (int i = 0; i < RF_SAVED_COUNT; i++) {
    int saved = slot_of(&rule->at[RF_REG_SAVED + i]);
    if (saved < 0 || saved > lowest) return pool_word(rule);
    wide |= (uint64_t)saved << 16 * i;
  }
  if (frame > lowest || record > lowest) return pool_word(rule);
  uint64_t word = RF_KIND_FAST | (frame_based ? RF_WORD_FRAME_BASED : 0) | (uint64_t)rule->cfa.offset << 5 |
                  (uint64_t)frame << 32 | (uint64_t)record << 48;
  return (struct rf_found){.word = word, .wide = wide};
}

/* Without call frame information: a linkage stub, a jump to nowhere (its call has pushed the return address),
 * code that keeps a frame pointer, or nothing that can be code. */
static uint64_t word_without(uintptr_t pc, bool exact, bool in_module) {
  if (pc == 0 && !exact) return RF_KIND_NULL;
  if (!exact && in_module) return RF_KIND_GUESS;
  if (!exact) return pc < ADDRESS_END && rf_returns_to(pc) ? RF_KIND_GUESS : RF_KIND_INVALID;
  if (pc < RF_PAGE || pc >= ADDRESS_END || !rf_page_readable(pc)) return RF_KIND_FAST | (uint64_t)8 << 5;
  if (!rf_range_readable(pc - RF_STUB_BYTES, 2 * RF_STUB_BYTES)) return RF_KIND_GUESS;
  int depth = rf_stub_depth((const uint8_t *)pc);
  return depth ? RF_KIND_FAST | (uint64_t)depth << 5 : RF_KIND_GUESS;
}

/* False: for this pc only, not to be remembered. */
static bool make(uintptr_t pc, bool exact, struct rf_found *found, struct rf_rule *space) {
  struct rf_object object;
  uintptr_t lookup = exact ? pc : pc - 1;
  bool in_module = pc != 0 && rf_object_find(lookup, &object);
  int error = in_module ? rf_cfi_rule(&object, lookup, pc, space) : -ENOENT;
  *found = (struct rf_found){0};
  if (error == -ENOENT) {
    found->word = word_without(pc, exact, in_module);
    return true;
  }
  if (error) {
    found->word = RF_KIND_INVALID;
    return true;
  }
  *found = rf_rules_condense(space);
  if (RF_WORD_KIND(found->word) != RF_KIND_POOL) return true;
  int number = pool_number(space);
  found->rule = number < 0 ? space : &pool[number].rule;
  if (number >= 0) found->word |= (uint64_t)number << 8;
  return number >= 0;
}

void rf_rules_make(uintptr_t pc, bool exact, uint32_t generation, struct rf_found *found,
                   struct rf_rule *space) {
  if (make(pc, exact, found, space) && pc < ADDRESS_END) insert(rf_rules_key(pc, exact, generation), found);
}
