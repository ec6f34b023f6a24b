/*
 * The writer's own view of its tables, entry by entry: chunks are never freed or moved, so a walk may go on
 * while others append. Any thread, signal-safe; in the process that writes only. Cost: about 1 ns an entry.
 */
#pragma once

#include "recording/format.h"
#include "recording/writer.h"

struct rf_walk {
  struct rf_chunk *chunk;
  uint32_t index;
};

static inline struct rf_walk rf_walk_begin(rf_ref root) {
  return (struct rf_walk){rf_recording_at(__atomic_load_n(&root, __ATOMIC_ACQUIRE)), 0};
}

/* The next published entry, NULL at the end. */
static inline void *rf_walk_next(struct rf_walk *walk) {
  while (walk->chunk && walk->index >= __atomic_load_n(&walk->chunk->count, __ATOMIC_ACQUIRE)) {
    walk->chunk = rf_recording_at(__atomic_load_n(&walk->chunk->next, __ATOMIC_ACQUIRE));
    walk->index = 0;
  }
  return walk->chunk ? (char *)(walk->chunk + 1) + (size_t)walk->chunk->entry_bytes * walk->index++ : NULL;
}

/* A thread's slot of a function, NULL when it has none. */
static inline struct rf_slot *rf_slot_in(rf_ref slots, uint32_t function) {
  struct rf_walk walk = rf_walk_begin(slots);
  struct rf_slot *slot;
  while ((slot = rf_walk_next(&walk)))
    if (slot->function == function) return slot;
  return NULL;
}
