/* Named blocks: see blocks.c. */
#pragma once

#include <stdint.h>

#include "base/thread.h"
#include "recording/format.h"

#define RF_NO_BLOCK UINT32_MAX

/* The id of the block of that name, made when it is new; RF_NO_BLOCK without room. Any thread, signal-safe.
 * Cost: some 20 ns, about 10 us for a new one. */
uint32_t rf_block_id(const char *name);
/* A block begins on the calling thread: its slot, or NULL when nothing is recorded. Signal-safe. Cost: about
 * 2 ns. */
struct rf_slot *rf_block_enter(struct rf_thread *thread, uint32_t id);
/* It ends: cycles are what the clock says. begun: the thread it began on. Signal-safe. Cost: about 4 ns. */
void rf_block_leave(struct rf_thread *begun, uint32_t id, uint64_t cycles);
/* A block's duration as it is recorded: cycles, corrected so that what the reader takes off every duration
 * fits blocks, too. */
uint64_t rf_block_duration(uint64_t cycles);
