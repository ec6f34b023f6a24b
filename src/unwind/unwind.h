/*
 * Call stacks, fast enough for every allocation: frames are stepped by precomputed rules, and what the
 * thread's last stack has in common with this one is not stepped at all. See unwind.c for how,
 * docs/unwinder.md for why.
 *
 *   struct rf_unwind_cache *cache = rf_unwind_cache_new(64);         once a thread
 *   size_t count = rf_unwind_here(cache, frames, 64, &truncated);    the innermost frame first
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"

struct rf_unwind_cache; /* opaque: one thread's last stack, and what it knows of its memory */

/* At start, before any walk. 0 or -ENOMEM. Not signal-safe; a second call does nothing. */
int rf_unwind_start(void);

/* Frames whose pc lies in [start, end) are walked through but not given out: Refunc's own text. Before any
 * walk. */
void rf_unwind_hide(uintptr_t start, uintptr_t end);

/* A thread's cache for stacks of up to depth frames; NULL without memory. Cost: one mmap of about 300 bytes a
 * frame. */
struct rf_unwind_cache *rf_unwind_cache_new(size_t depth);
/* Walks with this cache give out hidden frames, too. Before its first walk. */
void rf_unwind_cache_show(struct rf_unwind_cache *cache);
void rf_unwind_cache_free(struct rf_unwind_cache *cache);
/* Forgets everything: where a cache goes to another thread, and after a longjmp that may have left a walk
 * (out of a signal handler that interrupted one): until then the thread's walks go without the cache. */
void rf_unwind_cache_reset(struct rf_unwind_cache *cache);

/*
 * The return addresses of the caller (first), its caller and so on: at most max (and no more than the cache's
 * depth); a return address points behind its call. Gives their number. *truncated: the stack goes on, because
 * max was reached or because a frame could not be stepped. cache: this thread's, or NULL (slower by the whole
 * walk). errno is kept. Signal-safe, also while it interrupts itself on the same cache. Cost: about 2 ns a
 * frame that the last stack had too, 10 to 15 ns a new frame, 40 to 60 ns where a whole rule is interpreted;
 * 1 to 2 us for the first time at a return address.
 */
size_t rf_unwind_here(struct rf_unwind_cache *cache, uintptr_t *frames, size_t max, bool *truncated);

/* The same from given registers, e.g. of an interrupted thread (rf_registers_of_context): the first frame is
 * exactly where it was interrupted. For the calling thread's own stacks only. */
size_t rf_unwind_from(struct rf_unwind_cache *cache, const struct rf_registers *registers, uintptr_t *frames,
                      size_t max, bool *truncated);

/* The same from registers that rf_registers_here gave, in a function that has not returned. */
size_t rf_unwind_registers(struct rf_unwind_cache *cache, const struct rf_registers *registers,
                           uintptr_t *frames, size_t max, bool *truncated);

/* How many frames at the end of what the last walk with this cache gave out are those of the walk before it:
 * what was computed for them can be reused. 0 where the stack was cut at max. */
size_t rf_unwind_reused(const struct rf_unwind_cache *cache);

/* From now on walks with this cache leave the reused frames' places in frames alone: whoever keeps what it
 * computed for them needs only their number. */
void rf_unwind_cache_lean(struct rf_unwind_cache *cache);

/* After modules were loaded or unloaded: rules of before are not used any more. One caller at a time; not
 * signal-safe. Any other thread may be walking. */
void rf_unwind_modules_changed(void);

/* After memory that may have held a stack was unmapped or made unreadable (munmap, mremap, mprotect, a freed
 * mapping). Any thread, signal-safe. Cost: an atomic add here; each thread's next walk looks at its stack's
 * pages again. */
void rf_unwind_memory_changed(void);
