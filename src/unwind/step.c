/*
 * Steps that are not common: rules with expressions or further registers, the timing entry's frames, code without frame
 * information, and common rules where their reads leave the window. What such a step reads, uses and restores
 * is noted for last_stack.c.
 */
#include "unwind/expression.h"
#include "unwind/objects.h"
#include "unwind/readable.h"
#include "unwind/walk.h"

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
  if ((!rf_walk_sees(w, address) && !rf_unwind_hides(step->pc)) || step->log_count == READS_MAX ||
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
  if (!rf_walk_load(a->w, address, value)) return false;
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
  if (!rf_walk_enter_stack(w)) return FAILED;
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
  rf_walk_reach(w, w->fp + 15);
  if (!rf_walk_load(w, w->fp + sizeof(uintptr_t), &ret)) return FAILED;
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
  const struct window *known = rf_walk_window(w, at);
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

enum stop rf_walk_step_slowly(struct walk *w, const struct rf_found *found) {
  struct rf_rule rule;
  struct step *step = last_step(w);
  if (found->word & RF_WORD_ENTRY && RF_WORD_KIND(found->word) == RF_KIND_POOL && step_entry(w, found->word))
    return GOING;
  if (step) begin_slow(w, step);
  switch (RF_WORD_KIND(found->word)) {
  case RF_KIND_FAST: {
    bool by_frame = (found->word & RF_WORD_FRAME_BASED) != 0;
    if (by_frame && step) step->uses |= LIVE_FRAME;
    if (!by_frame || w->fp >= w->sp)
      rf_walk_reach(w, (by_frame ? w->fp : w->sp) + RF_WORD_CFA(found->word) - 1);
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
