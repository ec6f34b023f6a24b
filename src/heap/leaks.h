/*
 * Which live blocks nothing points to any more: a conservative mark, as leak checkers do it.
 *
 *   roots: writable mappings that are neither the allocator's nor Refunc's, stacks    ──▶ words that point
 * into a block ▲                        │ mark └──── the block's words ◀┘
 *
 * Other threads run on meanwhile (their registers are not seen, and dead words of their stacks count): what
 * is said to be lost is lost unless a pointer was in a register only; something lost may be missed.
 */
#pragma once

#include <stdbool.h>

/* In exact mode, at the end: tells each site how much of it is lost. False: without memory, or where mappings
 * can't be read. Not signal-safe. Cost: reads the whole heap once, about 1 ns a word and 50 ns a block. */
bool rf_leaks_check(void);
