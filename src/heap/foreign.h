/*
 * Allocators whose functions a preload does not come by: an executable's own malloc, one under another name
 * beside libc's (je_malloc, mi_malloc, ...), operator new of libjemalloc, libtcmalloc, libmimalloc, which
 * calls no malloc. They are known by their names, and their functions hooked like timed ones are:
 *
 *   je_malloc ─jmp─▶ stub ─▶ entry ─▶ rf_hooked_alloc (preload/hooked.c) ─▶ its body; then counted
 *
 * Such functions call each other, now by the hooked way and now by a shortcut. An outer one that sees that an
 * inner one has counted counts nothing.
 *
 * What can't be hooked is told: its blocks are not seen.
 *
 * While jemalloc serves (jemalloc.h), libraries that were opened with RTLD_DEEPBIND call libc's free for
 * what libc's strdup has got from jemalloc: so that is hooked, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rf_hook_shape {
  RF_HOOK_ALLOC,   /* gives a block */
  RF_HOOK_PLACED,  /* gives it to where its first argument points; answers 0 */
  RF_HOOK_REALLOC, /* takes a block and gives one */
  RF_HOOK_RESIZE,  /* changes a block where it is */
  RF_HOOK_FREE,
  RF_HOOK_BACK /* glibc's own, while jemalloc serves: a block that is not glibc's goes where it came from */
};

/* Which of glibc's functions is hooked so; in the place of enum rf_hook_size. */
enum rf_hook_back { RF_BACK_FREE, RF_BACK_REALLOC, RF_BACK_USABLE_SIZE };

/* Which arguments make the requested size. */
enum rf_hook_size {
  RF_SIZE_0,
  RF_SIZE_1,
  RF_SIZE_2,
  RF_SIZE_0_TIMES_1,
  RF_SIZE_1_TIMES_2,
  RF_SIZE_2_TIMES_3,
  RF_SIZE_UNKNOWN
};

struct rf_hook {
  uint8_t shape, size;
  uint8_t block;  /* which argument is the block that is taken */
  uintptr_t body; /* the function without the hook; at most five integer arguments */
  size_t (*usable_size)(void *block);
};

#define RF_HOOKS 256
extern struct rf_hook rf_hooks[RF_HOOKS] __attribute__((visibility("hidden")));

/* At start, once, after rf_allocator_learn: finds and hooks them (counting; else only what jemalloc needs).
 * Not signal-safe. Cost: nothing where there are none, but a look for their names in the executable's; else
 * that of patching. */
void rf_foreign_start(bool counting);
/* Calls tell for each module whose blocks, or some of them, are not seen. */
void rf_foreign_tell_unseen(void (*tell)(const char *module, const char *reason));
/* Whether some are hooked: blocks may be smaller, and lie closer, than glibc's. */
bool rf_foreign_hooked(void);
/* Whether blocks of two allocators are counted, so that a block alone does not tell whose it is. */
bool rf_foreign_beside(void);
/* Whether no block of this process is seen at all. */
bool rf_foreign_blind(void);
/* The allocator that serves the app instead of libc's: "jemalloc in redis-server"; "": libc's does. */
const char *rf_foreign_name(void);
/* One that serves part of it, beside malloc; "": none. */
const char *rf_foreign_beside_name(void);
