/*
 * Where call records come from. A thread's own stack has a pile of them, in chunks; a record there is dead
 * once its stack position lies at or under that of a frame that runs on the same stack. Records of other
 * stacks (coroutines, signal stacks) are allocated singly and found again by their position. Compiled with
 * general registers only; callers block signals.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/entry.h"
#include "base/thread.h"

static inline struct rf_chunk_header *rf_record_chunk(const struct rf_record *record) {
  return (struct rf_chunk_header *)((uintptr_t)record & ~(uintptr_t)(RF_RECORD_CHUNK - 1));
}

/* The record under record on its thread's pile, NULL at the bottom. Crossing into an earlier chunk hands on
 * what its first record had added for its caller. */
struct rf_record *rf_record_below(struct rf_record *record);

/* From now on records lie in the library's data only, where a conservative collector (Boehm's) looks; calls
 * without one pass through. */
void rf_records_data_only(void);

/* Makes rf_tls.top point to a free record; false without memory. */
bool rf_records_make_room(struct rf_thread *thread);

/* Frees all records of a thread's pile; visit sees each that is still in use, topmost first. */
void rf_records_clear(struct rf_thread *thread, void (*visit)(struct rf_record *record));

/* A record for a frame of a stack that is not the thread's own; dead receives one that had the same position
 * and therefore is over, NULL otherwise. NULL without memory. */
struct rf_record *rf_foreign_take(uintptr_t position, void (*dead)(struct rf_record *record));
void rf_foreign_give(struct rf_record *record);
/* Every foreign record in use. */
void rf_foreign_visit(void (*visit)(struct rf_record *record));

/* Room for what src/validate keeps of a call until it returns: RF_PENDING_BYTES a record, or NULL without
 * memory. Makes it where it is missing, on an own stack. */
#define RF_PENDING_BYTES 640u
void *rf_record_pending(struct rf_record *record);
