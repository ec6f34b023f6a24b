/*
 * The table of live blocks that were looked at: a word for every place where a block can begin, found from
 * its address without searching.
 *
 *   address  │ 14 bits │ 13 bits │ 20 bits    │
 *              root ──▶  branch ──▶ leaf: a word for every 32 bytes (glibc's smallest chunk) or 8 (other allocators)
 *
 *   word     │ site 24 bits │ birth 39 bits, in ticks, 0: not measured │ bit 4 of the address │      0: none
 *
 * A word belongs to whoever owns the block at that address, so it needs no lock and no compare-and-swap; only
 * branches and leaves are made by one. Memory: a quarter of the address range that the heap has ever used
 * (all of it for other allocators' smallest blocks), touched page by page. It lies in pages that a forked
 * child does not have.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RF_WORD_LOW_BITS 40
#define RF_WORD_SITES (1u << 24)
#define RF_WORD_TICKS (((uint64_t)1 << 39) - 1)

static inline uint64_t rf_word(uint32_t site, uint64_t tick, const void *block) {
  return (uint64_t)site << RF_WORD_LOW_BITS | (tick & RF_WORD_TICKS) << 1 | ((uintptr_t)block >> 4 & 1);
}
static inline uint32_t rf_word_site(uint64_t word) { return (uint32_t)(word >> RF_WORD_LOW_BITS); }
static inline uint64_t rf_word_birth(uint64_t word) { return word >> 1 & RF_WORD_TICKS; }

/* granule_bits: 5 or 3. Not signal-safe. */
bool rf_blocks_start(unsigned granule_bits);
/* The word for block, or NULL: none there, or (make) no memory. Signal-safe, any thread. Cost: three loads.
 */
uint64_t *rf_blocks_word(const void *block, bool make);
/* Visits every tracked live block; others may come and go meanwhile. */
void rf_blocks_visit(void (*visit)(void *user, uintptr_t block, uint64_t word), void *user);
