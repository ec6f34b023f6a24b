/*
 * Where a mark begins: everything that the process can write to or could, but
 *
 *   Refunc's tables, its data  they know all blocks; what they hold of the app's is marked apart
 *   the allocator's arenas     where every live block is known, what lies between them is what it took back
 *   stacks below their pointer what calls left behind; those of threads that have ended
 *
 * That is data of every module (with what became read-only after relocation), thread-local storage, stacks,
 * and the app's own mappings, shared ones too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/halt.h"
#include "heap/mark.h"

struct rf_roots {
  bool heap_known; /* every live block is listed: what else the arenas hold is no root */
  uintptr_t here;  /* where what is used of the caller's stack begins */
  const struct rf_halt *halt;

  struct rf_area *area; /* the rest is roots.c's */
  size_t areas, area_room, gaps, gap_room;
  struct rf_range *gap, *direct;
};

/* A place in this library's data that keeps something of the app's, from now on. Eight at most. */
void rf_roots_keep(void *const *place);

/* Looks at the process's mappings; gives mark what may be read directly, where everything stands still. False
 * without memory, or where they can't be read. End them in any case. */
bool rf_roots_find(struct rf_roots *roots, struct rf_mark *mark);
/* Marks what they lead to. */
void rf_roots_mark(struct rf_roots *roots, struct rf_mark *mark);
void rf_roots_end(struct rf_roots *roots);
