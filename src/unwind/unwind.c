/*
 * The walk.
 *
 *   registers ─▶ [pc sp fp rec] ──rule of pc──▶ [pc sp fp rec] ──rule of pc──▶ ... ──▶ joins the last stack, or ends
 *
 * A step is a function of four registers and of what it reads. FAST rules (rules.h) are applied in place: CFA
 * = sp or fp + n, pc from [CFA-8], fp and rec from [CFA-k] where they were saved. All else takes step.c.
 * A rule that needs a further register starts the walk again with all of them (struct full), which costs
 * twice as much a frame.
 *
 * Frames that the last walk has seen are compared, not walked again: last_stack.c.
 *
 * A walk that interrupts another on the same cache (a signal handler) goes without the cache.
 */
#include "unwind/objects.h"
#include "unwind/walk.h"

#define SEARCH_MAX 100000

uint64_t rf_unwind_epoch = 1;
uintptr_t rf_unwind_hidden_start, rf_unwind_hidden_bytes;

int rf_unwind_start(void) {
  rf_objects_start();
  return rf_rules_start();
}

void rf_unwind_hide(uintptr_t start, uintptr_t end) {
  rf_unwind_hidden_start = start;
  rf_unwind_hidden_bytes = end - start;
}

void rf_unwind_modules_changed(void) {
  rf_objects_refresh();
  uint64_t old = __atomic_load_n(&rf_unwind_epoch, __ATOMIC_RELAXED), new;
  do new = (old & ~(uint64_t)0xffffffff) | (uint32_t)(old + 1);
  while (!__atomic_compare_exchange_n(&rf_unwind_epoch, &old, new, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
}

void rf_unwind_memory_changed(void) {
  __atomic_fetch_add(&rf_unwind_epoch, (uint64_t)1 << 32, __ATOMIC_ACQ_REL);
}

/* ---- the loop ---- */

static inline void record(struct walk *w, const struct rf_found *found) {
  struct step *step = &w->cache->steps[w->count++];
  step->pc = w->pc;
  step->sp = w->sp;
  step->fp = w->fp;
  step->rec = w->rec;
  step->word = found->word;
  step->exact = w->exact;
  step->full = w->full != NULL;
  if (!w->full) return;
  step->wide = found->wide;
  memcpy(step->saved, &w->full->at.at[RF_REG_SAVED], sizeof step->saved);
}

/* r12 to r15 of the caller, after a common step to the frame whose CFA is given. */
static bool step_saved(struct walk *w, uintptr_t cfa, uint64_t wide) {
  w->full->valid &= RF_CALLEE_SAVED;
  for (int i = 0; i < RF_SAVED_COUNT; i++) {
    uintptr_t below = RF_WORD_SAVED(wide, i);
    if (below && !rf_walk_sees(w, cfa - below)) return false;
    if (below) w->full->at.at[RF_REG_SAVED + i] = *(const uintptr_t *)(cfa - below);
  }
  return true;
}

/* The common step. False: not possible inside the window. */
static inline bool step_fast(struct walk *w, const struct rf_found *found) {
  uint64_t word = found->word;
  uintptr_t cfa = (word & RF_WORD_FRAME_BASED ? w->fp : w->sp) + RF_WORD_CFA(word);
  uintptr_t frame = cfa - RF_WORD_FRAME(word), record = cfa - RF_WORD_RECORD(word);
  if (__builtin_expect(cfa < w->sp + 8 || cfa > w->end, 0)) return false;
  if (__builtin_expect(frame < w->start || record < w->start, 0)) return false;
  if (__builtin_expect(w->full != NULL, 0) && !step_saved(w, cfa, found->wide)) return false;
  if (RF_WORD_FRAME(word)) w->fp = *(const uintptr_t *)frame;
  if (RF_WORD_RECORD(word)) w->rec = *(const uintptr_t *)record;
  w->pc = *(const uintptr_t *)(cfa - 8);
  w->sp = cfa;
  w->exact = false;
  return true;
}

static enum stop one_frame(struct walk *w, struct rf_rule *space) {
  struct rf_found found;
  found.rule = NULL;
  rf_rules_find(w->table, rf_rules_key(w->pc, w->exact, w->generation), &found);
  if (__builtin_expect(!found.word, 0)) rf_rules_make(w->pc, w->exact, w->generation, &found, space);
  enum rf_kind kind = RF_WORD_KIND(found.word);
  if (__builtin_expect(kind >= RF_KIND_NULL, 0)) return kind == RF_KIND_NULL ? COMPLETE : FAILED;
  if (w->count == w->steps_max) return LIMIT;
  rf_walk_give(w, w->pc);
  if (w->cache)
    record(w, &found);
  else if (w->count++, w->more)
    return LIMIT;
  if (__builtin_expect(kind == RF_KIND_FAST, 1) && step_fast(w, &found)) return GOING;
  return rf_walk_step_slowly(w, &found);
}

/* Advances the candidate to the stack pointer; true: the frame with this pc may be it. */
static inline bool meets(struct walk *w, uintptr_t pc, uintptr_t sp) {
  const struct rf_unwind_cache *cache = w->cache;
  uint32_t i = w->candidate;
  while (i < cache->capacity && cache->sp[i] < sp) i++;
  w->candidate = i;
  for (; i < cache->capacity && cache->sp[i] == sp; i++)
    if (cache->pc[i] == pc) return true;
  return false;
}

/* Common steps, as many as there are: the whole state in registers. It stops before whatever is not common,
 * without a trace. */
static void run_common(struct walk *w) {
  struct rf_unwind_cache *cache = w->cache;
  uintptr_t pc = w->pc, sp = w->sp, fp = w->fp, rec = w->rec;
  const uintptr_t start = w->start, end = w->end;
  struct step *step = &cache->steps[w->count], *last = &cache->steps[w->steps_max];
  for (; step < last && !meets(w, pc, sp); step++) {
    uint64_t key = rf_rules_key(pc, false, w->generation);
    const struct rf_rule_slot *slot = rf_rules_slot(w->table, key, 0);
    uint64_t found = __atomic_load_n(&slot->key, __ATOMIC_ACQUIRE),
             word = __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE);
    if (found != key || __atomic_load_n(&slot->key, __ATOMIC_RELAXED) != key ||
        RF_WORD_KIND(word) != RF_KIND_FAST)
      break;
    uintptr_t cfa = (word & RF_WORD_FRAME_BASED ? fp : sp) + RF_WORD_CFA(word);
    uintptr_t frame = cfa - RF_WORD_FRAME(word), record = cfa - RF_WORD_RECORD(word);
    if (cfa < sp + 8 || cfa > end || frame < start || record < start) break;
    rf_walk_give(w, pc);
    step->pc = pc;
    step->sp = sp;
    step->fp = fp;
    step->rec = rec;
    step->word = word;
    step->exact = step->full = false;
    if (frame != cfa) fp = *(const uintptr_t *)frame;
    if (record != cfa) rec = *(const uintptr_t *)record;
    pc = *(const uintptr_t *)(cfa - 8);
    sp = cfa;
  }
  w->pc = pc;
  w->sp = sp;
  w->fp = fp;
  w->rec = rec;
  w->count = (uint32_t)(step - cache->steps);
}

static enum stop run(struct walk *w) {
  struct rf_rule space;
  enum stop stop;
  do {
    if (w->cache && !w->full && !w->exact) run_common(w);
    if (w->cache && w->candidate < w->cache->capacity && rf_walk_joins(w)) return JOINED;
    stop = one_frame(w, &space);
  } while (stop == GOING);
  return stop;
}

/* ---- beginning and end ---- */

static void set_registers(struct walk *w, const struct rf_registers *from, struct full *full, bool all) {
  w->pc = from->at[RF_REG_RETURN];
  w->sp = from->at[RF_REG_STACK];
  w->fp = from->at[RF_REG_FRAME];
  w->rec = from->at[RF_REG_RECORD];
  w->exact = all;
  w->count = w->logged = w->verifications = 0;
  w->given = 0;
  w->more = false;
  w->candidate = w->cache ? w->cache->first : 0;
  if (!w->full) return;
  full->at = *from;
  full->valid = all ? RF_ALL_REGISTERS : RF_CALLEE_SAVED;
}

static enum stop walk_from(struct walk *w, const struct rf_registers *from, bool exact) {
  struct full full;
  enum stop stop = AGAIN_FULL;
  w->full = w->cache && w->cache->want_full ? &full : NULL;
  while (stop == AGAIN_FULL) {
    set_registers(w, from, &full, exact);
    if (!rf_walk_enter_stack(w)) return FAILED;
    stop = run(w);
    if (stop == AGAIN_FULL) w->full = &full;
  }
  return stop;
}

/* Empties what is older than the modules or the memory that it speaks of. */
static void refresh(struct rf_unwind_cache *cache, uint64_t now) {
  if (cache->epoch == now) return;
  rf_unwind_forget(cache);
  memset(cache->windows, 0, sizeof cache->windows);
  cache->epoch = now;
}

/* Whether the cache is free: not if a walk that this one interrupted holds it. */
static bool claim(struct rf_unwind_cache *cache) {
  if (cache->busy) return false;
  __atomic_store_n(&cache->busy, true, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  return true;
}

static void release(struct rf_unwind_cache *cache) {
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&cache->busy, false, __ATOMIC_RELAXED);
}

static size_t finish_cached(struct walk *w, enum stop stop, bool *truncated) {
  struct rf_unwind_cache *cache = w->cache;
  size_t new = w->given;
  bool complete = stop == COMPLETE || (stop == JOINED && cache->complete);
  if (stop == JOINED) {
    cache->want_full =
        w->needed_full || (cache->want_full && cache->old[w->joined].live & LIVE_REGISTERS & -LIVE_SAVED);
    rf_walk_give_old(w, w->joined);
  } else {
    cache->want_full = w->needed_full;
  }
  if (w->count || stop != JOINED)
    rf_walk_keep(w, stop), cache->from = cache->first;
  else
    cache->from = w->joined;
  *truncated = w->more || !complete;
  cache->reused = stop == JOINED && !w->more && !cache->cut ? (uint32_t)(w->given - new) : 0;
  cache->cut = w->more;
  return w->given;
}

static size_t unwind_cached(struct rf_unwind_cache *cache, const struct rf_registers *from, uintptr_t *frames,
                            size_t max, bool exact, bool *truncated) {
  uint64_t now = __atomic_load_n(&rf_unwind_epoch, __ATOMIC_ACQUIRE);
  struct walk w;
  refresh(cache, now);
  w.cache = cache;
  w.table = rf_rules_table();
  w.generation = (uint32_t)now & 0xffff;
  w.windows = cache->windows;
  w.window_count = WINDOWS;
  w.next_window = (uint32_t)now;
  w.steps_max = cache->capacity;
  w.frames = frames;
  w.max = max < cache->depth ? max : cache->depth;
  w.needed_full = false;
  return finish_cached(&w, walk_from(&w, from, exact), truncated);
}

static size_t unwind_uncached(const struct rf_registers *from, uintptr_t *frames, size_t max, bool exact,
                              bool *truncated) {
  uint64_t now = __atomic_load_n(&rf_unwind_epoch, __ATOMIC_ACQUIRE);
  struct window windows[3] = {{0}};
  struct walk w;
  w.cache = NULL;
  w.table = rf_rules_table();
  w.generation = (uint32_t)now & 0xffff;
  w.windows = windows;
  w.window_count = 3;
  w.next_window = 0;
  w.steps_max = SEARCH_MAX;
  w.frames = frames;
  w.max = max;
  w.needed_full = false;
  *truncated = walk_from(&w, from, exact) != COMPLETE || w.more;
  return w.given;
}

static size_t unwind(struct rf_unwind_cache *cache, const struct rf_registers *from, uintptr_t *frames,
                     size_t max, bool exact, bool *truncated) {
  *truncated = true;
  if (!rf_rules_table() || max == 0) return 0;
  if (!cache || !claim(cache)) return unwind_uncached(from, frames, max, exact, truncated);
  size_t count = unwind_cached(cache, from, frames, max, exact, truncated);
  release(cache);
  return count;
}

size_t rf_unwind_registers(struct rf_unwind_cache *cache, const struct rf_registers *registers,
                           uintptr_t *frames, size_t max, bool *truncated) {
  return unwind(cache, registers, frames, max, false, truncated);
}

/* What the assembly of rf_unwind_here calls. */
size_t rf_unwind_called(struct rf_unwind_cache *cache, uintptr_t *frames, size_t max, bool *truncated,
                        const struct rf_registers *registers);

size_t rf_unwind_called(struct rf_unwind_cache *cache, uintptr_t *frames, size_t max, bool *truncated,
                        const struct rf_registers *registers) {
  return unwind(cache, registers, frames, max, false, truncated);
}

size_t rf_unwind_from(struct rf_unwind_cache *cache, const struct rf_registers *registers, uintptr_t *frames,
                      size_t max, bool *truncated) {
  return unwind(cache, registers, frames, max, true, truncated);
}
