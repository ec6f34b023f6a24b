/*
 * The cache of rules: a hash table without locks from program counter to one word that says how to step over
 * its frame.
 *
 *   key   generation (16 bits) | pc (47) | exact (1)      exact: interrupted there, not returning there
 *   word  what nearly every frame needs, in 64 bits (below); otherwise the number of a whole rule in a shared pool
 *   wide  where r12 to r15 are saved, 16 bits each, read only by walks that need them
 *
 *   63       48 47       32 31            8 7  4    3     2  0
 *  ┌───────────┬───────────┬───────────────┬────┬──────┬──────┐
 *  │ RECORD at │ FRAME at  │ CFA offset    │    │ CFA  │ FAST │   return address at CFA - 8,
 *  │ CFA-8*n   │ CFA-8*n   │ 8*n           │    │ base │      │   n = 0: the register is unchanged
 *  └───────────┴───────────┴───────────────┴────┴──────┴──────┘
 *
 * A slot is written between a compare-and-swap of its key to BUSY and the store of the new key; a reader that
 * finds the same key before and after has read one rule. A writer that meets another gives up: the rule is
 * made again next time. When live slots are pushed out too often, a table eight times as large takes over, up
 * to 8 MB; old ones stay for readers that are still in them (9 MB in all).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/rule.h"

enum rf_kind {
  RF_KIND_NONE,
  RF_KIND_FAST,
  RF_KIND_POOL,      /* a whole rule: signal frames, expressions, offsets out of range */
  RF_KIND_OUTERMOST, /* the frame has no caller */
  RF_KIND_GUESS,     /* no call frame information: the frame pointer may help */
  RF_KIND_NULL,      /* pc is 0: whoever made this stack ended it so */
  RF_KIND_INVALID,   /* pc is not code, or its information is malformed */
};

#define RF_WORD_KIND(word) ((enum rf_kind)((word)&7))
#define RF_WORD_FRAME_BASED ((uint64_t)1 << 3)
/* RF_KIND_POOL: more than STACK, FRAME and RECORD go into it. */
#define RF_WORD_NEEDS_ALL ((uint64_t)1 << 3)
/* RF_KIND_POOL: the frame of a timing entry, whose record RECORD points to. The record holds the caller's pc,
 * RECORD and, less a constant, stack pointer; everything else is unchanged. Offsets into it in bytes. */
#define RF_WORD_ENTRY ((uint64_t)1 << 4)
#define RF_WORD_ENTRY_STACK(word) ((uintptr_t)((word) >> 24 & 0xff))
#define RF_WORD_ENTRY_RETURN(word) ((uintptr_t)((word) >> 32 & 0xff))
#define RF_WORD_ENTRY_RECORD(word) ((uintptr_t)((word) >> 40 & 0xff))
#define RF_WORD_ENTRY_ADDED(word) ((uintptr_t)((word) >> 48 & 0xff))
#define RF_WORD_CFA(word) ((uintptr_t)((word) >> 5 & 0x7fffff8))
#define RF_WORD_FRAME(word) ((uintptr_t)((word) >> 29 & 0x7fff8))
#define RF_WORD_RECORD(word) ((uintptr_t)((word) >> 48) << 3)
#define RF_WORD_SAVED(wide, i) ((uintptr_t)((wide) >> 16 * (i)&0xffff) << 3)

struct rf_found {
  uint64_t word, wide;
  const struct rf_rule *rule; /* RF_KIND_POOL only */
};

struct rf_rule_slot {
  uint64_t key, word, wide, unused;
};
struct rf_rule_table {
  unsigned shift; /* 64 - log2(slots) */
  uint32_t evicted;
  struct rf_rule_slot *slots;
};

/* At start. 0 or -ENOMEM. Not signal-safe. */
int rf_rules_start(void);
/* The table to search, good for one walk; NULL before the start. */
const struct rf_rule_table *rf_rules_table(void);
/* Makes the rule for pc, whatever it takes, and remembers it. space: where a whole rule goes that no pool has
 * room for. Signal-safe. Cost: 1 to 2 us. */
void rf_rules_make(uintptr_t pc, bool exact, uint32_t generation, struct rf_found *found,
                   struct rf_rule *space);
/* Rule number n of the pool. */
const struct rf_rule *rf_rules_pool(uint64_t word);
/* The compact form of a rule, for tests: RF_KIND_POOL where it has none. */
struct rf_found rf_rules_condense(const struct rf_rule *rule);

static inline uint64_t rf_rules_key(uintptr_t pc, bool exact, uint32_t generation) {
  return (uint64_t)generation << 48 | (pc << 1 & 0xffffffffffff) | exact;
}

enum { RF_RULE_WAYS = 4 }; /* a key is in one of four neighbouring slots: two cache lines */

/* Slot number way of key. */
static inline struct rf_rule_slot *rf_rules_slot(const struct rf_rule_table *table, uint64_t key,
                                                 unsigned way) {
  uint64_t first = key * 0x9e3779b97f4a7c15u >> table->shift;
  return &table->slots[first ^ way];
}

/* Looks key up; word is 0 where it is not there. Signal-safe. Cost: 2 ns where the cache is warm. */
static inline void rf_rules_find(const struct rf_rule_table *table, uint64_t key, struct rf_found *found) {
  for (unsigned way = 0; way < RF_RULE_WAYS; way++) {
    const struct rf_rule_slot *slot = rf_rules_slot(table, key, way);
    if (__atomic_load_n(&slot->key, __ATOMIC_ACQUIRE) != key) continue;
    found->word = __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
    found->wide = __atomic_load_n(&slot->wide, __ATOMIC_ACQUIRE);
    if (__atomic_load_n(&slot->key, __ATOMIC_RELAXED) == key) return;
  }
  found->word = 0;
}
