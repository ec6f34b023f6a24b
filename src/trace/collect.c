/* The candidates of a module: the functions that patterns match, and what else their code is called. */
#include <string.h>

#include "base/grow.h"
#include "base/memory.h"
#include "trace/sweep.h"
#include "trace/wishes.h"

static struct rf_candidate *add_candidate(struct rf_sweep *s, struct rf_candidate fresh, const char *name) {
  struct rf_candidate *list =
      rf_grow(s->candidates, s->candidate_count, &s->candidate_capacity, sizeof *list);
  if (!list) return NULL;
  s->candidates = list;
  fresh.name = rf_strdup(name);
  if (!fresh.name) return NULL;
  list[s->candidate_count] = fresh;
  return &list[s->candidate_count++];
}

/* Go's linker marks where its code begins and ends; behind it lies what a C compiler made. */
static void note_go(struct rf_sweep *s, const struct rf_symbol *symbol) {
  if (!strcmp(symbol->name, "runtime.text")) s->go.start = symbol->address;
  if (!strcmp(symbol->name, "runtime.etext")) s->go.end = symbol->address;
}

bool rf_sweep_is_go(const struct rf_sweep *s, uintptr_t address) {
  return address >= s->go.start && address < s->go.end;
}

static bool collect_symbol(void *user, const struct rf_symbol *symbol) {
  struct rf_sweep *s = user;
  struct rf_extent *extents = rf_grow(s->extents, s->extent_count, &s->extent_capacity, sizeof *extents);
  if (!extents) return false;
  s->extents = extents;
  if (symbol->kind == RF_SYMBOL_FUNCTION)
    extents[s->extent_count++] = (struct rf_extent){symbol->address, symbol->size};
  note_go(s, symbol);
  struct rf_choice choice;
  if (rf_symbol_is_cold(symbol->name) ||
      (s->only && rf_pattern_match(s->only, s->module->name, symbol->name) < 0))
    return true;
  if (!rf_wishes_choose(s->module->name, symbol->name, &choice)) return true;
  struct rf_candidate *fresh = add_candidate(s,
                                             (struct rf_candidate){.address = symbol->address,
                                                                   .symbol = symbol->address,
                                                                   .global = symbol->global,
                                                                   .ifunc = symbol->kind == RF_SYMBOL_IFUNC,
                                                                   .full = choice.full,
                                                                   .set_count = choice.set_count},
                                             symbol->name);
  if (!fresh) return false;
  memcpy(fresh->sets, choice.sets, sizeof fresh->sets);
  return true;
}

static int by_address(const void *a, const void *b) {
  uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
  return x < y ? -1 : x > y;
}

/* Same address: the name that was asked for first, and that people know: global, without leading underscores,
 * short. */
static int by_address_and_name(const void *a, const void *b) {
  const struct rf_candidate *x = a, *y = b;
  if (x->address != y->address) return x->address < y->address ? -1 : 1;
  if (x->unasked != y->unasked) return y->unasked ? -1 : 1;
  if (x->global != y->global) return x->global ? -1 : 1;
  int underscore = (x->name[0] == '_') - (y->name[0] == '_');
  if (underscore) return underscore;
  int length = (int)strlen(x->name) - (int)strlen(y->name);
  return length ? length : strcmp(x->name, y->name);
}

/* The one among the asked ones, which are sorted, at that address. */
static const struct rf_candidate *asked_at(const struct rf_sweep *s, uintptr_t address) {
  size_t low = 0, high = s->asked_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (s->candidates[middle].address < address)
      low = middle + 1;
    else
      high = middle;
  }
  return low < s->asked_count && s->candidates[low].address == address ? &s->candidates[low] : NULL;
}

/* A folded function's calls are counted with those of its namesakes, so that the report must know them all.
 */
static bool collect_other_name(void *user, const struct rf_symbol *symbol) {
  struct rf_sweep *s = user;
  if (symbol->kind != RF_SYMBOL_FUNCTION || rf_symbol_is_cold(symbol->name)) return true;
  const struct rf_candidate *asked = asked_at(s, symbol->address);
  for (const struct rf_candidate *end = s->candidates + s->asked_count; asked && asked < end; asked++) {
    if (asked->address != symbol->address) break;
    if (!strcmp(asked->name, symbol->name)) return true;
  }
  if (!asked) return true;
  struct rf_candidate other = {
      .address = symbol->address, .symbol = symbol->address, .global = symbol->global, .unasked = true};
  return add_candidate(s, other, symbol->name) != NULL;
}

static void sort_candidates(struct rf_sweep *s) {
  rf_sort(s->candidates, s->candidate_count, sizeof *s->candidates, by_address_and_name);
}

size_t rf_sweep_aliases(const struct rf_sweep *s, size_t index) {
  size_t next = index + 1;
  while (next < s->candidate_count && s->candidates[next].address == s->candidates[index].address) next++;
  return next - index;
}

/* Whether some function has more symbols than were asked for: mostly none has, and the symbols need not be
 * read once more. */
static bool have_other_names(const struct rf_sweep *s) {
  for (size_t i = 0, count; i < s->candidate_count; i += count) {
    count = rf_sweep_aliases(s, i);
    uintptr_t address = s->candidates[i].address;
    size_t at = rf_extent_from(s->extents, s->extent_count, address) + count;
    if (at < s->extent_count && s->extents[at].address == address) return true;
  }
  return false;
}

void rf_sweep_collect_names(struct rf_sweep *s) {
  rf_sort(s->extents, s->extent_count, sizeof *s->extents, by_address);
  sort_candidates(s);
  s->asked_count = s->candidate_count;
  if (have_other_names(s)) rf_symbols_visit(s->module, collect_other_name, s, NULL);
  if (s->candidate_count > s->asked_count) sort_candidates(s);
}

void rf_sweep_collect(struct rf_sweep *s) { rf_symbols_visit(s->module, collect_symbol, s, NULL); }

void rf_sweep_drop(struct rf_sweep *s, size_t index) {
  rf_free(s->candidates[index].name);
  s->candidates[index] = s->candidates[--s->candidate_count];
}

void rf_sweep_free(struct rf_sweep *s) {
  for (size_t i = 0; i < s->candidate_count; i++) rf_free(s->candidates[i].name);
  rf_free(s->candidates);
  rf_free(s->extents);
  rf_free(s->entered);
  rf_labels_free(&s->labels);
}
