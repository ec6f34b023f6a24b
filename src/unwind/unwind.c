/*
 * The walk.
 *
 *   registers ─▶ [pc sp fp rec] ──rule of pc──▶ [pc sp fp rec] ──rule of pc──▶ ... ──▶ joins the last stack, or ends
 *
 * A step is a function of four registers and of what it reads. FAST rules (rules.h) are applied in place: CFA
 * = sp or fp + n, pc from [CFA-8], fp and rec from [CFA-k] where they were saved. All else takes step_slowly.
 * A rule that needs a further register starts the walk again with all of them (struct full), which costs
 * twice as much a frame.
 *
 * The last stack. Each thread keeps its last walk: for each frame the state before its step. When the new
 * walk comes to a state that equals an old one, the rest is the same if every value that the old rest read,
 * and that mattered, is still in its place. What mattered is known exactly: return addresses and whatever
 * went into a CFA always do; a saved register does if some outer frame uses it before another frame restores
 * it. So each old frame has a set of registers that are live at its state: only these are compared there, and
 * only reads of live registers are compared. In code without frame pointers that is one comparison a frame.
 * No assumption is made about the lives of frames.
 *
 *        new:  n0 ─ n1 ─ n2 ─┐ same pc, sp, live registers
 *        old:       o0 ─ o1 ─ o2 ─ o3 ─ o4 ─ outermost         compare [slot] == pc of o3, o4, outermost
 *
 * Old frames are kept flush right in arrays, innermost first, so new ones go in front of those that stay.
 *
 * Memory. A thread is on its stack, so the page of its stack pointer is readable; the pages above are asked
 * for one by one (readable.h) and then remembered as a window. The fast path reads inside the window only;
 * old frames are compared only if they lie in the window of the current one, all reads that leave it (after a
 * switch of stacks) bar the frames below them from being joined. rf_unwind_memory_changed() empties windows.
 *
 * A walk that interrupts another on the same cache (a signal handler) goes without the cache.
 */
#include "unwind/unwind.h"

#include <errno.h>
#include <string.h>

#include "base/memory.h"
#include "unwind/expression.h"
#include "unwind/objects.h"
#include "unwind/readable.h"
#include "unwind/rules.h"
#include "unwind/seal.h"

enum { WINDOWS = 6, WINDOW_PAGES_MAX = 1024, READS_MAX = 48, VERIFICATIONS_MAX = 4, SEARCH_MAX = 100000 };

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
  uint16_t first_log, log_count;   /* step_slowly's reads */
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
  bool needed_full, trusted;
};

uint64_t rf_unwind_epoch = 1;
static uintptr_t hidden_start, hidden_bytes;

int rf_unwind_start(void) {
  rf_objects_start();
  return rf_rules_start();
}

void rf_unwind_hide(uintptr_t start, uintptr_t end) {
  hidden_start = start;
  hidden_bytes = end - start;
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

/* --- The cache
 * ----------------------------------------------------------------------------------------------- */

static void forget_stack(struct rf_unwind_cache *cache) {
  cache->first = cache->from = cache->capacity;
  cache->first_read = cache->reads_capacity;
  cache->complete = cache->limited = false;
}

void rf_unwind_cache_reset(struct rf_unwind_cache *cache) {
  forget_stack(cache);
  memset(cache->windows, 0, sizeof cache->windows);
  cache->busy = cache->cut = false;
  cache->want_full = false;
  cache->reused = 0;
}

static void *carve(char **from, size_t bytes) {
  void *start = *from;
  *from += (bytes + 63) & ~(size_t)63;
  return start;
}

void rf_unwind_cache_show(struct rf_unwind_cache *cache) { cache->show = true; }

struct rf_unwind_cache *rf_unwind_cache_new(size_t depth) {
  if (depth < 8) depth = 8;
  if (depth > 1 << 14) depth = 1 << 14;
  size_t capacity = depth + depth / 2, reads = 3 * capacity + READS_MAX, log = 2 * capacity + READS_MAX;
  size_t frame_bytes = 3 * sizeof(uintptr_t) + sizeof(struct old) + sizeof(struct step);
  size_t bytes = sizeof(struct rf_unwind_cache) + capacity * frame_bytes +
                 reads * sizeof(struct rf_unwind_read) + log * sizeof(struct log_entry) + 64 * 10;
  char *memory = rf_pages(bytes);
  if (!memory) return NULL;
  struct rf_unwind_cache *cache = carve(&memory, sizeof *cache);
  *cache = (struct rf_unwind_cache){.depth = (uint32_t)depth, .capacity = (uint32_t)capacity, .bytes = bytes};
  cache->reads_capacity = (uint32_t)reads;
  cache->pc = carve(&memory, capacity * sizeof(uintptr_t));
  cache->slot = carve(&memory, capacity * sizeof(uintptr_t));
  cache->sp = carve(&memory, capacity * sizeof(uintptr_t));
  cache->old = carve(&memory, capacity * sizeof(struct old));
  cache->reads = carve(&memory, reads * sizeof(struct rf_unwind_read));
  cache->steps = carve(&memory, capacity * sizeof(struct step));
  cache->log = carve(&memory, log * sizeof(struct log_entry));
  rf_unwind_cache_reset(cache);
  return cache;
}

void rf_unwind_cache_free(struct rf_unwind_cache *cache) {
  if (cache) rf_pages_free(cache, cache->bytes);
}

size_t rf_unwind_reused(const struct rf_unwind_cache *cache) { return cache->reused; }
void rf_unwind_cache_lean(struct rf_unwind_cache *cache) { cache->lean = true; }

/* --- Memory
 * -------------------------------------------------------------------------------------------------- */

static struct window *window_of(struct walk *w, uintptr_t address) {
  for (uint32_t i = 0; i < w->window_count; i++)
    if (address >= w->windows[i].start && address < w->windows[i].end) return &w->windows[i];
  return NULL;
}

/* Room for another window; the old stack may lie in the one that goes, which is not the current one. */
static struct window *window_slot(struct walk *w) {
  for (uint32_t i = 0; i < w->window_count; i++)
    if (w->windows[i].end == 0) return &w->windows[i];
  if (w->cache) {
    forget_stack(w->cache);
    w->candidate = w->cache->capacity;
  }
  struct window *window;
  do window = &w->windows[w->next_window++ % w->window_count];
  while (window == window_of(w, w->sp));
  return window;
}

/* One window instead of two that touch. */
static void merge(struct walk *w, struct window *window) {
  for (struct window *other = w->windows; other < w->windows + w->window_count; other++) {
    if (other == window || other->end == 0 || other->start > window->end || other->end < window->start)
      continue;
    if (other->start < window->start) window->start = other->start;
    if (other->end > window->end) window->end = other->end;
    *other = (struct window){0, 0};
  }
}

/* Lengthens a window that begins or ends not too far from page, so that it holds it. */
static bool stretch(struct walk *w, struct window *window, uintptr_t page) {
  uintptr_t far = (uintptr_t)WINDOW_PAGES_MAX * RF_PAGE;
  if (window->end == 0) return false;
  while (page >= window->end && page - window->end < far && rf_page_readable(window->end))
    window->end += RF_PAGE;
  while (page < window->start && window->start - page <= far && rf_page_readable(window->start - RF_PAGE))
    window->start -= RF_PAGE;
  if (page < window->start || page >= window->end) return false;
  merge(w, window);
  return true;
}

/* The window that holds address, made if need be; NULL: unreadable. */
static struct window *open_window(struct walk *w, uintptr_t address) {
  uintptr_t page = address & ~(uintptr_t)(RF_PAGE - 1);
  struct window *window = window_of(w, address);
  if (window) return window;
  if (!rf_page_readable(page)) return NULL;
  for (uint32_t i = 0; i < w->window_count; i++)
    if (stretch(w, &w->windows[i], page)) return &w->windows[i];
  window = window_slot(w);
  *window = (struct window){page, page + RF_PAGE};
  return window;
}

/* Makes the window of the stack pointer the current one. */
static bool enter_stack(struct walk *w) {
  struct window *window = open_window(w, w->sp);
  if (!window) return false;
  w->start = window->start;
  w->end = window->end;
  return true;
}

/* Makes the current window reach up to address, if it can. */
static void reach(struct walk *w, uintptr_t address) {
  struct window *window = window_of(w, w->sp);
  if (!window || address < w->start) return;
  if (address >= window->end) stretch(w, window, address & ~(uintptr_t)(RF_PAGE - 1));
  w->start = window->start;
  w->end = window->end;
}

static bool in_window(const struct walk *w, uintptr_t address) {
  return address >= w->start && address < w->end && w->end - address >= sizeof(uintptr_t);
}

/* Makes sure that a word can be read, outside the current window. */
static bool find_word(struct walk *w, uintptr_t address) {
  uintptr_t last = address + sizeof(uintptr_t) - 1;
  const struct window *known = window_of(w, address);
  if (known && last < known->end && last > address) return true;
  if (last < address || !open_window(w, address) || !open_window(w, last)) return false;
  struct window *current = window_of(w, w->sp); /* it may have become longer */
  if (current) w->start = current->start, w->end = current->end;
  return true;
}

/* Reads a word anywhere. False: it can't be read. */
static inline bool load(struct walk *w, uintptr_t address, uintptr_t *value) {
  if (!in_window(w, address) && !find_word(w, address)) return false;
  memcpy(value, (const void *)address, sizeof *value);
  return true;
}

/* --- Slow steps
 * ---------------------------------------------------------------------------------------------- */

static bool is_hidden(uintptr_t pc) { return pc - hidden_start < hidden_bytes; }

static bool is_given(const struct rf_unwind_cache *cache, uintptr_t pc) {
  return !is_hidden(pc) || (cache && cache->show);
}

static int live_bit(int reg) {
  if (reg == RF_REG_FRAME) return 0;
  if (reg == RF_REG_RECORD) return LIVE_RECORD_NUMBER;
  return reg >= RF_REG_SAVED && reg < RF_REG_SAVED + RF_SAVED_COUNT ? reg - RF_REG_SAVED + 2 : -1;
}

static struct step *last_step(struct walk *w) {
  return w->cache && w->count ? &w->cache->steps[w->count - 1] : NULL;
}

/* Notes what a slow step read for a register. Reads outside the stack hold as evidence only for our own
 * entry, whose records stay mapped. */
static void note(struct walk *w, uintptr_t address, uintptr_t value, uint8_t reg) {
  struct step *step = last_step(w);
  if (!step) return;
  if ((!in_window(w, address) && !is_hidden(step->pc)) || step->log_count == READS_MAX ||
      address % sizeof(uintptr_t)) {
    step->uses |= NO_JOIN;
    return;
  }
  w->cache->log[w->logged++] = (struct log_entry){address, value, reg};
  step->log_count++;
}

/* What a slow step knows while it computes the caller's registers. */
struct apply {
  struct walk *w;
  struct rf_registers old;
  uint32_t valid;
  uintptr_t cfa;
  uint8_t reg; /* whose place is being computed, for the log */
};

static bool load_noted(void *user, uintptr_t address, uintptr_t *value) {
  struct apply *a = user;
  if (!load(a->w, address, value)) return false;
  note(a->w, address, *value, a->reg);
  return true;
}

static void use(struct apply *a, int reg) {
  struct step *step = last_step(a->w);
  int bit = live_bit(reg);
  if (!step || reg == RF_REG_STACK || reg == RF_REG_RETURN || reg == RF_BASE_CFA) return;
  step->uses |= bit < 0 ? NO_JOIN : (uint8_t)(1 << bit);
}

static bool expression_value(struct apply *a, const struct rf_place *place, bool has_cfa, uintptr_t *value) {
  uint64_t bytes = 0;
  const uint8_t *at = place->expression;
  for (unsigned shift = 0;; shift += 7) {
    bytes |= (uint64_t)(*at & 0x7f) << shift;
    if (!(*at++ & 0x80) || shift > 21) break;
  }
  struct rf_expression_context context = {a->w->pc, &a->old, a->valid, has_cfa, a->cfa, load_noted, a};
  struct rf_value result;
  struct step *step = last_step(a->w);
  if (step) step->uses |= NO_JOIN;
  if (!rf_expression(&context, at, at + bytes, &result) || result.kind != RF_CONSTANT) return false;
  *value = (uintptr_t)result.add;
  return true;
}

/* The value of a place, before RF_AT loads from it. */
static bool place_value(struct apply *a, const struct rf_place *place, bool has_cfa, uintptr_t *value) {
  if (place->how == RF_AT_EXPRESSION || place->how == RF_IS_EXPRESSION)
    return expression_value(a, place, has_cfa, value);
  if (place->base != RF_BASE_CFA && !(a->valid >> place->base & 1)) return false;
  use(a, place->base);
  uintptr_t base = place->base == RF_BASE_CFA ? a->cfa : a->old.at[place->base];
  uintptr_t sum = base + (uintptr_t)(intptr_t)place->offset;
  if (!place->deref) {
    *value = sum;
    return true;
  }
  if (!load_noted(a, sum, value)) return false;
  *value += (uintptr_t)(intptr_t)place->add;
  return true;
}

/* The caller's register reg. False: lost. */
static bool caller_register(struct apply *a, const struct rf_rule *rule, int reg, uintptr_t *value) {
  const struct rf_place *place = &rule->at[reg];
  struct step *step = last_step(a->w);
  int bit = live_bit(reg);
  if (place->how == RF_UNDEFINED && bit < 0) return false;
  if (place->how == RF_SAME || place->how == RF_UNDEFINED) {
    *value = a->old.at[reg];
    return a->valid >> reg & 1 && (RF_CALLEE_SAVED >> reg & 1 || rule->signal);
  }
  a->reg = bit < 0 ? ALWAYS : (uint8_t)bit;
  if (!place_value(a, place, true, value)) return false;
  if (step && bit >= 0) step->restores |= (uint8_t)(1 << bit);
  return place->how == RF_IS || place->how == RF_IS_EXPRESSION || load_noted(a, *value, value);
}

static void gather(struct walk *w, struct apply *a) {
  a->w = w;
  if (w->full) {
    a->old = w->full->at;
    a->valid = w->full->valid;
  } else {
    a->valid = 1u << RF_REG_FRAME | 1u << RF_REG_RECORD;
  }
  a->old.at[RF_REG_FRAME] = w->fp;
  a->old.at[RF_REG_RECORD] = w->rec;
  a->old.at[RF_REG_STACK] = w->sp;
  a->old.at[RF_REG_RETURN] = w->pc;
  a->valid |= 1u << RF_REG_STACK | 1u << RF_REG_RETURN;
  a->reg = ALWAYS;
  a->cfa = 0;
}

/* Registers besides the stack pointer and pc: those that the walk follows. */
static uint32_t caller_registers(struct apply *a, const struct rf_rule *rule, struct rf_registers *next) {
  uint32_t follow = 1u << RF_REG_FRAME | 1u << RF_REG_RECORD, valid = 0;
  if (a->w->full) follow = RF_ALL_REGISTERS & ~(1u << RF_REG_STACK | 1u << RF_REG_RETURN);
  for (; follow; follow &= follow - 1) {
    int reg = __builtin_ctz(follow);
    if (caller_register(a, rule, reg, &next->at[reg]))
      valid |= 1u << reg;
    else
      next->at[reg] = 0;
  }
  return valid;
}

/* Any rule, applied to any frame. */
static enum stop apply_rule(struct walk *w, const struct rf_rule *rule) {
  struct apply a;
  struct rf_registers next;
  uintptr_t sp, pc;
  gather(w, &a);
  if (!place_value(&a, &rule->cfa, false, &a.cfa)) return FAILED;
  if (!caller_register(&a, rule, RF_REG_STACK, &sp) || !caller_register(&a, rule, RF_REG_RETURN, &pc))
    return FAILED;
  uint32_t valid = caller_registers(&a, rule, &next);
  /* These may lead to another stack; elsewhere a caller's frame lies above, unless the return address is in a
   * register. */
  bool moves = rule->signal || rule->at[RF_REG_STACK].base != RF_BASE_CFA || rule->cfa.base == RF_REG_FRAME;
  if (!moves && sp < w->sp + !w->exact) return FAILED;
  uintptr_t old_start = w->start;
  w->sp = sp;
  w->pc = pc;
  w->exact = rule->signal;
  w->fp = valid >> RF_REG_FRAME & 1 ? next.at[RF_REG_FRAME] : 0;
  w->rec = valid >> RF_REG_RECORD & 1 ? next.at[RF_REG_RECORD] : 0;
  if (w->full) w->full->at = next, w->full->valid = valid;
  if (sp >= w->start && sp < w->end) return GOING;
  if (!enter_stack(w)) return FAILED;
  struct step *step = last_step(w);
  if (step && w->start != old_start) step->uses |= NO_JOIN;
  return GOING;
}

/* A common rule as a whole one, where its reads leave the window or registers are few. */
static void expand(const struct rf_found *found, struct rf_rule *rule) {
  memset(rule, 0, sizeof *rule);
  rule->cfa = rf_place(RF_IS, found->word & RF_WORD_FRAME_BASED ? RF_REG_FRAME : RF_REG_STACK,
                       (int32_t)RF_WORD_CFA(found->word));
  rule->at[RF_REG_STACK] = rf_place(RF_IS, RF_BASE_CFA, 0);
  rule->at[RF_REG_RETURN] = rf_place(RF_AT, RF_BASE_CFA, -8);
  intptr_t frame = (intptr_t)RF_WORD_FRAME(found->word), record = (intptr_t)RF_WORD_RECORD(found->word);
  if (frame) rule->at[RF_REG_FRAME] = rf_place(RF_AT, RF_BASE_CFA, (int32_t)-frame);
  if (record) rule->at[RF_REG_RECORD] = rf_place(RF_AT, RF_BASE_CFA, (int32_t)-record);
  for (int i = 0; i < RF_SAVED_COUNT; i++) {
    intptr_t saved = (intptr_t)RF_WORD_SAVED(found->wide, i);
    if (saved) rule->at[RF_REG_SAVED + i] = rf_place(RF_AT, RF_BASE_CFA, (int32_t)-saved);
  }
}

/* Code without call frame information: if it keeps a frame pointer, [fp] is the caller's and [fp+8] the
 * return address; they must lie above on this stack, and the return address must follow a call. */
static enum stop guess(struct walk *w) {
  static const struct rf_found by_frame = {.word = RF_KIND_FAST | RF_WORD_FRAME_BASED | (uint64_t)16 << 5 |
                                                   (uint64_t)2 << 32};
  struct rf_rule rule;
  struct step *step = last_step(w);
  if (step) step->uses |= LIVE_FRAME;
  uintptr_t ret;
  if (w->fp < w->sp || w->fp % sizeof(uintptr_t)) return FAILED;
  reach(w, w->fp + 15);
  if (!load(w, w->fp + sizeof(uintptr_t), &ret)) return FAILED;
  if (ret != 0 && !rf_returns_to(ret)) return FAILED;
  expand(&by_frame, &rule);
  return apply_rule(w, &rule);
}

/* Begins a slow step: whatever its rule, its reads are in the log. */
static void begin_slow(struct walk *w, struct step *step) {
  bool full = w->logged > 2 * w->cache->capacity;
  step->first_log = (uint16_t)w->logged;
  step->log_count = full ? READS_MAX : 0;
  step->uses = full ? NO_JOIN : 0;
  step->restores = 0;
  step->word = RF_KIND_POOL;
}

/* A timing entry's frame, if its record lies in memory that is known and its caller on this stack. */
static bool step_entry(struct walk *w, uint64_t word) {
  uintptr_t at = w->rec;
  const struct window *known = window_of(w, at);
  if (at % sizeof(uintptr_t) || !known || known->end - at < 256 + sizeof(uintptr_t)) return false;
  uintptr_t stack = at + RF_WORD_ENTRY_STACK(word), ret = at + RF_WORD_ENTRY_RETURN(word),
            record = at + RF_WORD_ENTRY_RECORD(word), position = *(const uintptr_t *)stack,
            sp = position + RF_WORD_ENTRY_ADDED(word);
  if (sp < w->sp || sp >= w->end) return false;
  struct step *step = last_step(w);
  w->pc = *(const uintptr_t *)ret;
  w->rec = *(const uintptr_t *)record;
  if (step) {
    begin_slow(w, step);
    step->uses |= LIVE_RECORD;
    step->restores |= LIVE_RECORD;
    note(w, stack, position, ALWAYS);
    note(w, ret, w->pc, ALWAYS);
    note(w, record, w->rec, LIVE_RECORD_NUMBER);
  }
  if (w->full) w->full->valid &= RF_CALLEE_SAVED;
  w->sp = sp;
  w->exact = false;
  return true;
}

static __attribute__((noinline)) enum stop step_slowly(struct walk *w, const struct rf_found *found) {
  struct rf_rule rule;
  struct step *step = last_step(w);
  if (found->word & RF_WORD_ENTRY && RF_WORD_KIND(found->word) == RF_KIND_POOL && step_entry(w, found->word))
    return GOING;
  if (step) begin_slow(w, step);
  switch (RF_WORD_KIND(found->word)) {
  case RF_KIND_FAST: {
    bool by_frame = (found->word & RF_WORD_FRAME_BASED) != 0;
    if (by_frame && step) step->uses |= LIVE_FRAME;
    if (!by_frame || w->fp >= w->sp) reach(w, (by_frame ? w->fp : w->sp) + RF_WORD_CFA(found->word) - 1);
    expand(found, &rule);
    return apply_rule(w, &rule);
  }
  case RF_KIND_POOL:
    if (found->word & RF_WORD_NEEDS_ALL) {
      w->needed_full = true;
      if (!w->full) return AGAIN_FULL;
    }
    return apply_rule(w, found->rule ? found->rule : rf_rules_pool(found->word));
  case RF_KIND_OUTERMOST: return COMPLETE;
  case RF_KIND_GUESS: return guess(w);
  default: return FAILED;
  }
}

/* --- Joining the last stack
 * ---------------------------------------------------------------------------------- */

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

/* Advances the candidate to the current frame's stack pointer; true: the current frame is the candidate and
 * the rest is as it was. */
static __attribute__((noinline)) bool joins(struct walk *w) {
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

/* --- The loop
 * ------------------------------------------------------------------------------------------------ */

static inline void give(struct walk *w, uintptr_t pc) {
  if (!is_given(w->cache, pc)) return;
  if (w->given < w->max)
    w->frames[w->given++] = pc;
  else
    w->more = true;
}

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
    if (below && !in_window(w, cfa - below)) return false;
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
  give(w, w->pc);
  if (w->cache)
    record(w, &found);
  else if (w->count++, w->more)
    return LIMIT;
  if (__builtin_expect(kind == RF_KIND_FAST, 1) && step_fast(w, &found)) return GOING;
  return step_slowly(w, &found);
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
    give(w, pc);
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
    if (w->cache && w->candidate < w->cache->capacity && joins(w)) return JOINED;
    stop = one_frame(w, &space);
  } while (stop == GOING);
  return stop;
}

/* --- Keeping the stack
 * --------------------------------------------------------------------------------------- */

/* Gives out the old frames from index on. */
static void give_old(struct walk *w, uint32_t from) {
  const struct rf_unwind_cache *cache = w->cache;
  size_t visible = cache->capacity - from - cache->old[from].hidden;
  if (cache->lean && !cache->cut && w->given + visible <= w->max) {
    w->given += visible;
    return;
  }
  for (; from < cache->capacity && cache->old[from].hidden; from++) give(w, cache->pc[from]);
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
  old->hidden =
      (uint16_t)((at + 1 < cache->capacity ? cache->old[at + 1].hidden : 0) + !is_given(cache, step->pc));
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

/* Makes the walk's frames, and the old ones from w->joined on, the last stack. */
static void keep_stack(struct walk *w, enum stop stop) {
  struct rf_unwind_cache *cache = w->cache;
  struct old outer;
  uint32_t kept = stop == JOINED ? w->joined : cache->capacity;
  if (stop != JOINED) {
    forget_stack(cache);
    cache->complete = stop == COMPLETE;
    cache->limited = stop == LIMIT;
  } else if (w->count > kept) {
    kept = drop_outer(cache, kept, w->count);
    if (kept == cache->capacity) forget_stack(cache), cache->limited = true;
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
      return forget_stack(cache);
    const struct old *next = cache->first < cache->capacity ? &cache->old[cache->first] : &outer;
    if (!keep(w, step, cache->first - 1, next, outer_sp)) return forget_stack(cache);
    cache->first--;
    outer_sp = step->sp;
  }
}

/* --- Beginning and end
 * --------------------------------------------------------------------------------------- */

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
    if (!enter_stack(w)) return FAILED;
    stop = run(w);
    if (stop == AGAIN_FULL) w->full = &full;
  }
  return stop;
}

/* Empties what is older than the modules or the memory that it speaks of. */
static void refresh(struct rf_unwind_cache *cache, uint64_t now) {
  if (cache->epoch == now) return;
  forget_stack(cache);
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
    give_old(w, w->joined);
  } else {
    cache->want_full = w->needed_full;
  }
  if (w->count || stop != JOINED)
    keep_stack(w, stop), cache->from = cache->first;
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

/* --- Seals
 * --------------------------------------------------------------------------------------------------- */

size_t rf_unwind_seal_bytes(size_t depth) {
  return sizeof(struct rf_unwind_seal) + (2 * depth + 2 * RF_SEAL_STEP) * sizeof(struct rf_unwind_read);
}

void rf_unwind_seal_init(struct rf_unwind_seal *seal, size_t bytes) {
  *seal = (struct rf_unwind_seal){
      .room = (uint16_t)((bytes - sizeof *seal) / sizeof *seal->read / RF_SEAL_STEP * RF_SEAL_STEP)};
}

static bool seal_read(struct rf_unwind_seal *seal, const uintptr_t *from, uintptr_t value) {
  if (seal->count == seal->room) return false;
  seal->read[seal->count++] = (struct rf_unwind_read){from, value};
  return true;
}

/* Whether the kept frames are all that the last walk gave out, and one more where it was cut. */
static bool kept_enough(const struct rf_unwind_cache *cache) {
  uint32_t visible = cache->capacity - cache->from - cache->old[cache->from].hidden;
  return !cache->limited || visible > cache->depth;
}

/* The first old frame that had no part in what the last walk gave out: one frame beyond the depth tells that
 * there are more. */
static uint32_t seal_end(const struct rf_unwind_cache *cache) {
  uint32_t end = cache->from + cache->depth + 2 + cache->old[cache->from].hidden;
  return end < cache->capacity ? end : cache->capacity;
}

static bool seal_reads(const struct rf_unwind_cache *cache, struct rf_unwind_seal *seal) {
  uint32_t end = seal_end(cache), read = cache->old[cache->from].first_read,
           reads = end < cache->capacity ? cache->old[end].first_read : cache->reads_capacity;
  for (uint32_t i = cache->from + 1; i < end; i++)
    if (cache->slot[i] != &cache->pc[i] && !seal_read(seal, cache->slot[i], cache->pc[i])) return false;
  for (; read < reads; read++)
    if (!seal_read(seal, cache->reads[read].from, cache->reads[read].value)) return false;
  while (seal->count % RF_SEAL_STEP)
    if (!seal_read(seal, &seal->pc, seal->pc)) return false;
  return true;
}

static void seal_registers(const struct old *old, const struct rf_registers *registers,
                           struct rf_unwind_seal *seal) {
  seal->pc = registers->at[RF_REG_RETURN];
  seal->sp = registers->at[RF_REG_STACK];
  seal->frame = registers->at[RF_REG_FRAME];
  seal->record = registers->at[RF_REG_RECORD];
  seal->frame_lives = old->live & LIVE_FRAME;
  seal->record_lives = old->live & LIVE_RECORD;
  for (int i = 0; i < RF_SAVED_COUNT; i++) {
    seal->saved[i] = registers->at[RF_REG_SAVED + i];
    seal->saved_lives[i] = old->live & LIVE_SAVED << i;
  }
}

bool rf_unwind_seal(const struct rf_unwind_cache *cache, const struct rf_registers *registers,
                    struct rf_unwind_seal *seal) {
  uint32_t from = cache->from;
  seal->epoch = 0;
  seal->count = 0;
  if (from == cache->capacity || cache->pc[from] != registers->at[RF_REG_RETURN] ||
      cache->sp[from] != registers->at[RF_REG_STACK])
    return false;
  const struct old *old = &cache->old[from];
  if (old->live & NO_JOIN || old->exact || !kept_enough(cache)) return false;
  seal_registers(old, registers, seal);
  if (!seal_reads(cache, seal)) return false;
  seal->epoch = cache->epoch;
  return true;
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
