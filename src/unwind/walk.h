/*
 * A walk in progress, and what a thread keeps of its last one. The parts:
 *
 *   unwind.c       the loop over frames that are common, beginning and end
 *   step.c         steps by any other rule
 *   windows.c      which memory may be read
 *   last_stack.c   joining the last stack, and keeping this one for the next walk
 *   cache.c        memory for a thread's last stack
 *   seal.c         what of it a seal needs
 *
 * A walk belongs to one thread, a cache to one walk at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "arch/arch.h"
#include "unwind/rules.h"
#include "unwind/seal.h"
#include "unwind/unwind.h"

enum { WINDOWS = 6, READS_MAX = 48 };

/* Liveness: a bit for each register that is kept across calls, and one for "never join here". */
enum { LIVE_FRAME = 1, LIVE_RECORD = 2, LIVE_SAVED = 4, LIVE_REGISTERS = 0x3f, NO_JOIN = 0x80 };
enum { LIVE_RECORD_NUMBER = 1, ALWAYS = 6 }; /* as the register of a read: it matters whatever is live */

struct window {
  uintptr_t start, end;
};

/* A frame of the walk in progress: the state before its step, and its rule. */
struct step {
  uintptr_t pc, sp, fp, rec;
  uint64_t word, wide;
  uintptr_t saved[RF_SAVED_COUNT]; /* in full walks */
  uintptr_t slot;                  /* where the next frame's pc was read */
  uint16_t first_log, log_count;   /* a slow step's reads */
  uint8_t uses, restores;          /* registers that went into it, and that it restored: slow steps only */
  bool exact, full;
};

/* A frame of the last stack, besides the hot arrays. */
struct old {
  uintptr_t fp, rec, saved[RF_SAVED_COUNT];
  uint32_t first_read; /* of this frame and all outer ones */
  uint16_t hidden;     /* of this frame and all outer ones */
  uint8_t live;
  bool exact;
};

struct log_entry {
  uintptr_t address, value;
  uint8_t reg; /* the liveness bit's number, or ALWAYS */
};

struct rf_unwind_cache {
  uint32_t depth, capacity; /* frames given out at most; frames kept */
  uint32_t first;           /* of the old stack; capacity: none */
  uint32_t from;            /* where in it the last walk began */
  uint32_t reads_capacity, first_read;
  uint32_t reused;
  uint64_t epoch;
  bool busy;     /* a walk is in progress */
  bool cut;      /* the last walk left frames out */
  bool lean;     /* reused frames are not given out */
  bool complete; /* the old stack was walked to its end */
  bool limited;  /* ... or stopped for lack of room; neither: it could not be stepped further */
  bool want_full;
  bool show; /* frames of Refunc's own text are given out, too */
  struct window windows[WINDOWS];
  const uintptr_t **slot; /* old stack: where pc was read */
  uintptr_t *pc, *sp;
  struct old *old;
  struct rf_unwind_read *reads;
  struct step *steps;
  struct log_entry *log;
  size_t bytes;
};

struct full {
  struct rf_registers at;
  uint32_t valid;
};

enum stop { GOING, COMPLETE, FAILED, LIMIT, JOINED, AGAIN_FULL };

struct walk {
  struct rf_unwind_cache *cache; /* NULL: nothing is kept */
  const struct rf_rule_table *table;
  uint32_t generation;
  uintptr_t pc, sp, fp, rec;
  bool exact;
  struct full *full;    /* NULL: the four registers only */
  uintptr_t start, end; /* the current window */
  struct window *windows;
  uint32_t window_count, next_window;
  uint32_t candidate; /* old frames from here on may be joined */
  uint32_t verifications, joined;
  uint32_t count, logged, steps_max; /* recorded steps, and the log's entries */
  uintptr_t *frames;
  size_t given, max;
  bool more; /* frames were left out for lack of room */
  bool needed_full;
};

/* Code whose frames are not given out: Refunc's own. */
extern uintptr_t rf_unwind_hidden_start __attribute__((visibility("hidden")));
extern uintptr_t rf_unwind_hidden_bytes __attribute__((visibility("hidden")));

static inline bool rf_unwind_hides(uintptr_t pc) {
  return pc - rf_unwind_hidden_start < rf_unwind_hidden_bytes;
}

static inline bool rf_unwind_gives(const struct rf_unwind_cache *cache, uintptr_t pc) {
  return !rf_unwind_hides(pc) || (cache && cache->show);
}

/* Gives a frame out, unless it is hidden. */
static inline void rf_walk_give(struct walk *w, uintptr_t pc) {
  if (!rf_unwind_gives(w->cache, pc)) return;
  if (w->given < w->max)
    w->frames[w->given++] = pc;
  else
    w->more = true;
}

/* ---- windows.c ---- */

/* The known window that holds address; NULL: none. */
struct window *rf_walk_window(struct walk *w, uintptr_t address);
/* Makes the window of the stack pointer the current one. False: it can't be read. Cost: a system call a page that is
 * new. */
bool rf_walk_enter_stack(struct walk *w);
/* Makes the current window reach up to address, if it can. */
void rf_walk_reach(struct walk *w, uintptr_t address);
/* Makes sure that a word can be read, outside the current window. */
bool rf_walk_find_word(struct walk *w, uintptr_t address);

/* Whether a word lies in the current window. */
static inline bool rf_walk_sees(const struct walk *w, uintptr_t address) {
  return address >= w->start && address < w->end && w->end - address >= sizeof(uintptr_t);
}

/* Reads a word anywhere. False: it can't be read. */
static inline bool rf_walk_load(struct walk *w, uintptr_t address, uintptr_t *value) {
  if (!rf_walk_sees(w, address) && !rf_walk_find_word(w, address)) return false;
  memcpy(value, (const void *)address, sizeof *value);
  return true;
}

/* ---- step.c ---- */

/* One step by any rule, from the state that was recorded last. */
enum stop rf_walk_step_slowly(struct walk *w, const struct rf_found *found);

/* ---- last_stack.c ---- */

/* Advances the candidate to the current frame's stack pointer; true: the current frame is the candidate and
 * the rest is as it was. */
bool rf_walk_joins(struct walk *w);
/* Gives out the old frames from index on. */
void rf_walk_give_old(struct walk *w, uint32_t from);
/* Makes the walk's frames, and the old ones from w->joined on, the last stack. */
void rf_walk_keep(struct walk *w, enum stop stop);

/* ---- cache.c ---- */

/* Nothing is kept any more. */
void rf_unwind_forget(struct rf_unwind_cache *cache);
