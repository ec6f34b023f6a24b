/*
 * Each thread keeps its last walk: for each frame the state before its step. When the new walk comes to a
 * state that equals an old one, the rest is the same if every value that the old rest read, and that mattered,
 * is still in its place. What mattered is known exactly: return addresses and whatever went into a CFA always
 * do; a saved register does if some outer frame uses it before another frame restores it. So each old frame
 * has a set of registers that are live at its state: only these are compared there, and only reads of live
 * registers are compared. In code without frame pointers that is one comparison a frame. No assumption is made
 * about the lives of frames.
 *
 *        new:  n0 ─ n1 ─ n2 ─┐ same pc, sp, live registers
 *        old:       o0 ─ o1 ─ o2 ─ o3 ─ o4 ─ outermost         compare [slot] == pc of o3, o4, outermost
 *
 * Old frames are kept flush right in arrays, innermost first, so new ones go in front of those that stay.
 */
#include "unwind/walk.h"

#define VERIFICATIONS_MAX 4

/* Whether every value that the old stack's rest depends on is still there. */
static bool holds(const struct rf_unwind_cache *cache, uint32_t from) {
  uintptr_t differences = 0;
  for (uint32_t i = from + 1; i < cache->capacity; i++) differences |= *cache->slot[i] ^ cache->pc[i];
  for (uint32_t i = cache->old[from].first_read; i < cache->reads_capacity; i++)
    differences |= *cache->reads[i].from ^ cache->reads[i].value;
  return differences == 0;
}

/* The first old frame outside every difference: only from there on a join can succeed. */
static uint32_t beyond_differences(const struct rf_unwind_cache *cache, uint32_t from) {
  uint32_t i = cache->capacity, read = cache->reads_capacity;
  while (i > from + 1 && *cache->slot[i - 1] == cache->pc[i - 1]) i--;
  while (read > cache->old[from].first_read && *cache->reads[read - 1].from == cache->reads[read - 1].value)
    read--;
  while (i < cache->capacity && cache->old[i].first_read < read) i++;
  return i;
}

static bool same_live(const struct walk *w, const struct old *old) {
  uint8_t live = old->live;
  if (live & NO_JOIN || old->exact != w->exact) return false;
  if (live & LIVE_FRAME && old->fp != w->fp) return false;
  if (live & LIVE_RECORD && old->rec != w->rec) return false;
  if (live < LIVE_SAVED) return true;
  for (int i = 0; i < RF_SAVED_COUNT; i++)
    if (live & LIVE_SAVED << i && (!w->full || !(w->full->valid >> (RF_REG_SAVED + i) & 1) ||
                                   old->saved[i] != w->full->at.at[RF_REG_SAVED + i]))
      return false;
  return true;
}

/* Enough frames in the old rest? One that was cut short must reach beyond max. */
static bool enough(const struct walk *w, uint32_t from) {
  const struct rf_unwind_cache *cache = w->cache;
  return !cache->limited || w->given + (cache->capacity - from) - cache->old[from].hidden > w->max;
}

bool rf_walk_joins(struct walk *w) {
  struct rf_unwind_cache *cache = w->cache;
  uint32_t i = w->candidate;
  while (i < cache->capacity && cache->sp[i] < w->sp) i++;
  w->candidate = i;
  while (i < cache->capacity && cache->sp[i] == w->sp && cache->pc[i] != w->pc)
    i++; /* our own entry shares its caller's */
  if (i == cache->capacity || cache->sp[i] != w->sp) return false;
  if (!same_live(w, &cache->old[i]) || !enough(w, i)) return false;
  if (holds(cache, i)) {
    w->joined = i;
    return true;
  }
  w->candidate = ++w->verifications < VERIFICATIONS_MAX ? beyond_differences(cache, i) : cache->capacity;
  return false;
}

void rf_walk_give_old(struct walk *w, uint32_t from) {
  const struct rf_unwind_cache *cache = w->cache;
  size_t visible = cache->capacity - from - cache->old[from].hidden;
  if (cache->lean && !cache->cut && w->given + visible <= w->max) {
    w->given += visible;
    return;
  }
  for (; from < cache->capacity && cache->old[from].hidden; from++) rf_walk_give(w, cache->pc[from]);
  size_t room = w->max - w->given, count = cache->capacity - from;
  if (count > room) count = room, w->more = true;
  memcpy(w->frames + w->given, cache->pc + from, count * sizeof(uintptr_t));
  w->given += count;
}

/* Makes room for new frames in front of those from kept on by dropping outer ones, more than needed so that
 * it is rare. Gives kept's new index, or capacity where nothing can stay. */
static uint32_t drop_outer(struct rf_unwind_cache *cache, uint32_t kept, uint32_t needed) {
  uint32_t by = needed - kept, slack = (cache->capacity - cache->depth) / 2, staying = cache->capacity - kept;
  if (by < slack) by = slack;
  if (by >= staying) return cache->capacity;
  uint32_t end = cache->capacity - by, reads_by = cache->reads_capacity - cache->old[end].first_read;
  uint32_t first_read = cache->old[kept].first_read, hidden = cache->old[end].hidden;
  memmove(cache->reads + first_read + reads_by, cache->reads + first_read,
          (cache->old[end].first_read - first_read) * sizeof *cache->reads);
  uint32_t to = kept + by, count = end - kept;
  memmove(cache->pc + to, cache->pc + kept, count * sizeof *cache->pc);
  memmove(cache->sp + to, cache->sp + kept, count * sizeof *cache->sp);
  memmove(cache->slot + to, cache->slot + kept, count * sizeof *cache->slot);
  memmove(cache->old + to, cache->old + kept, count * sizeof *cache->old);
  for (uint32_t i = to; i < cache->capacity; i++) {
    cache->old[i].first_read += reads_by;
    cache->old[i].hidden -= (uint16_t)hidden;
    if (cache->slot[i] >= cache->pc && cache->slot[i] < cache->pc + cache->capacity)
      cache->slot[i] = &cache->pc[i];
  }
  cache->complete = false;
  cache->limited = true;
  return to;
}

static bool add_read(struct rf_unwind_cache *cache, uintptr_t address, uintptr_t value) {
  if (cache->first_read == 0) return false;
  cache->reads[--cache->first_read] = (struct rf_unwind_read){(const uintptr_t *)address, value};
  return true;
}

/* The reads and the live registers of a common step, given those of the frame outside it. */
static bool keep_fast(struct rf_unwind_cache *cache, const struct step *step, const struct old *outer,
                      uintptr_t cfa, uint8_t *live) {
  uint64_t word = step->word;
  uint8_t needed = outer->live;
  bool fine = true;
  if (RF_WORD_FRAME(word)) {
    if (needed & LIVE_FRAME) fine = fine && add_read(cache, cfa - RF_WORD_FRAME(word), outer->fp);
    needed &= (uint8_t)~LIVE_FRAME;
  }
  if (RF_WORD_RECORD(word)) {
    if (needed & LIVE_RECORD) fine = fine && add_read(cache, cfa - RF_WORD_RECORD(word), outer->rec);
    needed &= (uint8_t)~LIVE_RECORD;
  }
  for (int i = 0; i < RF_SAVED_COUNT && step->full; i++) {
    if (!RF_WORD_SAVED(step->wide, i)) continue;
    if (needed & LIVE_SAVED << i)
      fine = fine && add_read(cache, cfa - RF_WORD_SAVED(step->wide, i), outer->saved[i]);
    needed &= (uint8_t) ~(LIVE_SAVED << i);
  }
  *live = needed | (word & RF_WORD_FRAME_BASED ? LIVE_FRAME : 0);
  return fine;
}

static bool keep_slow(struct rf_unwind_cache *cache, const struct step *step, uint8_t outer_live,
                      uint8_t *live) {
  bool fine = true;
  for (uint32_t i = step->first_log;
       i < (uint32_t)step->first_log + (step->uses & NO_JOIN ? 0 : step->log_count); i++) {
    const struct log_entry *entry = &cache->log[i];
    if (entry->reg == ALWAYS || outer_live >> entry->reg & 1)
      fine = fine && add_read(cache, entry->address, entry->value);
  }
  *live = (uint8_t)((outer_live & ~step->restores) | step->uses);
  return fine;
}

/* Puts step in front of the old frame at index at + 1 (capacity: none). */
static bool keep(struct walk *w, const struct step *step, uint32_t at, const struct old *outer,
                 uintptr_t outer_sp) {
  struct rf_unwind_cache *cache = w->cache;
  struct old *old = &cache->old[at];
  uint8_t live = 0;
  bool fast = RF_WORD_KIND(step->word) == RF_KIND_FAST;
  bool fine =
      fast ? keep_fast(cache, step, outer, outer_sp, &live) : keep_slow(cache, step, outer->live, &live);
  if (at + 1 < cache->capacity) cache->slot[at + 1] = (const uintptr_t *)(outer_sp - sizeof(uintptr_t));
  if (!fast && at + 1 < cache->capacity)
    cache->slot[at + 1] = &cache->pc[at + 1]; /* its read is in the list */
  cache->pc[at] = step->pc;
  cache->sp[at] = step->sp;
  old->fp = step->fp;
  old->rec = step->rec;
  old->first_read = cache->first_read;
  old->hidden = (uint16_t)((at + 1 < cache->capacity ? cache->old[at + 1].hidden : 0) +
                           !rf_unwind_gives(cache, step->pc));
  old->live = live;
  old->exact = step->exact;
  if (step->full) memcpy(old->saved, step->saved, sizeof old->saved);
  return fine;
}

/* The state in which the walk stopped, for the frame inside it. A frame that could not be stepped, or the pc
 * that ended the stack, hangs on what was read for it. */
static void final_state(const struct walk *w, struct old *outer) {
  *outer = (struct old){w->fp, w->rec, {0}, 0, 0, 0, w->exact};
}

void rf_walk_keep(struct walk *w, enum stop stop) {
  struct rf_unwind_cache *cache = w->cache;
  struct old outer;
  uint32_t kept = stop == JOINED ? w->joined : cache->capacity;
  if (stop != JOINED) {
    rf_unwind_forget(cache);
    cache->complete = stop == COMPLETE;
    cache->limited = stop == LIMIT;
  } else if (w->count > kept) {
    kept = drop_outer(cache, kept, w->count);
    if (kept == cache->capacity) rf_unwind_forget(cache), cache->limited = true;
  }
  cache->first = kept;
  cache->first_read = kept < cache->capacity ? cache->old[kept].first_read : cache->reads_capacity;
  final_state(w, &outer);
  uintptr_t outer_sp = w->sp;
  bool stepped = w->count && w->cache->steps[w->count - 1].sp != w->sp; /* the last frame's step was made */
  for (uint32_t i = w->count; i-- > 0;) {
    const struct step *step = &cache->steps[i];
    if (i + 1 == w->count && stop != JOINED && stepped && RF_WORD_KIND(step->word) == RF_KIND_FAST &&
        !add_read(cache, w->sp - sizeof(uintptr_t), w->pc))
      return rf_unwind_forget(cache);
    const struct old *next = cache->first < cache->capacity ? &cache->old[cache->first] : &outer;
    if (!keep(w, step, cache->first - 1, next, outer_sp)) return rf_unwind_forget(cache);
    cache->first--;
    outer_sp = step->sp;
  }
}
