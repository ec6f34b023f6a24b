/* See select.h. */
#include "trace/select.h"

#include <string.h>

#include "arch/entry.h"
#include "base/grow.h"
#include "base/log.h"
#include "base/memory.h"
#include "elf/dynamic.h"
#include "elf/module.h"
#include "patch/branches.h"
#include "patch/constructor.h"
#include "patch/labels.h"
#include "patch/patch.h"
#include "patch/slots.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/full.h"
#include "trace/pace.h"
#include "trace/records.h"
#include "trace/refuse.h"
#include "trace/seen.h"
#include "trace/traced.h"
#include "trace/unmatched.h"
#include "trace/wishes.h"

#define PER_CHUNK 64
#define NAME_BYTES 4096
#define MOST_SEGMENTS 16

/* A matched name at an address, or another one of the same code; several with one address are aliases of one
 * function. */
struct candidate {
  uintptr_t address;
  uintptr_t symbol; /* another place where an IFUNC leads out of its module */
  char *name;
  bool global, ifunc, unasked;   /* unasked: no pattern matched this name */
  struct rf_full full;           /* what its patterns ask of it */
  uint16_t sets[RF_SELECT_SETS]; /* of rules; how many: next field */
  uint16_t set_count;
};

/* One module while it is looked at. */
struct sweep {
  const struct rf_module *module;
  struct candidate *candidates;
  size_t candidate_count, candidate_capacity;
  size_t asked_count;        /* of them, while others are added */
  struct rf_labels labels;   /* that lead into its code */
  struct rf_extent *extents; /* of every function, to know where the next one begins */
  size_t extent_count, extent_capacity;
  uint16_t *entered;           /* by candidate: which of its first bytes are branched to */
  struct rf_segment go;        /* what Go compiled */
  bool relocated, waiting;     /* waiting: its IFUNCs alone are looked at, once more */
  bool quiet;                  /* no other thread runs its code while it is patched */
  bool slotted;                /* once more, for functions without room for a jump that slots lead to */
  struct rf_pattern_set *only; /* other functions than these are left out; NULL: none is */
};

/* An IFUNC that stands in skipped[] until its library is relocated. */
struct waiting_ifunc {
  uintptr_t load_address;
  rf_ref skipped;
};

static struct {
  bool dry;
  const char *process_refusal; /* why nothing can be timed; NULL: it can */
  struct waiting_ifunc *waiting;
  size_t waiting_count, waiting_capacity;
  struct rf_select_change *change; /* what is being done for somebody who asked; NULL: nothing */
} state;

bool rf_select_start(const struct rf_select_plan *plan) {
  state.dry = plan->dry;
  if (!rf_sites) rf_sites = rf_pages(RF_MOST_FUNCTIONS * sizeof *rf_sites);
  if (!rf_wishes_read(plan) || !rf_sites) return false;
  rf_full_start();
  return true;
}

/* ---- collecting one module's symbols ---- */

static struct candidate *add_candidate(struct sweep *s, struct candidate fresh, const char *name) {
  struct candidate *list = rf_grow(s->candidates, s->candidate_count, &s->candidate_capacity, sizeof *list);
  if (!list) return NULL;
  s->candidates = list;
  fresh.name = rf_strdup(name);
  if (!fresh.name) return NULL;
  list[s->candidate_count] = fresh;
  return &list[s->candidate_count++];
}

/* Go's linker marks where its code begins and ends; behind it lies what a C compiler made. */
static void note_go(struct sweep *s, const struct rf_symbol *symbol) {
  if (!strcmp(symbol->name, "runtime.text")) s->go.start = symbol->address;
  if (!strcmp(symbol->name, "runtime.etext")) s->go.end = symbol->address;
}

static bool is_go(const struct sweep *s, uintptr_t address) {
  return address >= s->go.start && address < s->go.end;
}

static bool collect_symbol(void *user, const struct rf_symbol *symbol) {
  struct sweep *s = user;
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
  struct candidate *fresh = add_candidate(s,
                                          (struct candidate){.address = symbol->address,
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
  const struct candidate *x = a, *y = b;
  if (x->address != y->address) return x->address < y->address ? -1 : 1;
  if (x->unasked != y->unasked) return y->unasked ? -1 : 1;
  if (x->global != y->global) return x->global ? -1 : 1;
  int underscore = (x->name[0] == '_') - (y->name[0] == '_');
  if (underscore) return underscore;
  int length = (int)strlen(x->name) - (int)strlen(y->name);
  return length ? length : strcmp(x->name, y->name);
}

/* The one among the asked ones, which are sorted, at that address. */
static const struct candidate *asked_at(const struct sweep *s, uintptr_t address) {
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
  struct sweep *s = user;
  if (symbol->kind != RF_SYMBOL_FUNCTION || rf_symbol_is_cold(symbol->name)) return true;
  const struct candidate *asked = asked_at(s, symbol->address);
  for (const struct candidate *end = s->candidates + s->asked_count; asked && asked < end; asked++) {
    if (asked->address != symbol->address) break;
    if (!strcmp(asked->name, symbol->name)) return true;
  }
  if (!asked) return true;
  struct candidate other = {
      .address = symbol->address, .symbol = symbol->address, .global = symbol->global, .unasked = true};
  return add_candidate(s, other, symbol->name) != NULL;
}

static void sort_candidates(struct sweep *s) {
  rf_sort(s->candidates, s->candidate_count, sizeof *s->candidates, by_address_and_name);
}

/* Candidates with one address. */
static size_t aliases_at(const struct sweep *s, size_t index) {
  size_t next = index + 1;
  while (next < s->candidate_count && s->candidates[next].address == s->candidates[index].address) next++;
  return next - index;
}

/* Whether some function has more symbols than were asked for: mostly none has, and the symbols need not be
 * read once more. */
static bool have_other_names(const struct sweep *s) {
  for (size_t i = 0, count; i < s->candidate_count; i += count) {
    count = aliases_at(s, i);
    uintptr_t address = s->candidates[i].address;
    size_t at = rf_extent_from(s->extents, s->extent_count, address) + count;
    if (at < s->extent_count && s->extents[at].address == address) return true;
  }
  return false;
}

static void collect_other_names(struct sweep *s) {
  sort_candidates(s);
  s->asked_count = s->candidate_count;
  if (have_other_names(s)) rf_symbols_visit(s->module, collect_other_name, s, NULL);
  if (s->candidate_count > s->asked_count) sort_candidates(s);
}

/* ---- recording what was found ---- */

static char *alias_text(const struct candidate *first, size_t count) {
  char text[NAME_BYTES];
  size_t used = 0;
  for (size_t i = 1; i < count; i++) {
    size_t length = strlen(first[i].name);
    if (!strcmp(first[i].name, first[i - 1].name) || !strcmp(first[i].name, first->name)) continue;
    if (used + length + 2 > sizeof text) break;
    if (used) text[used++] = '\n';
    memcpy(text + used, first[i].name, length);
    used += length;
  }
  return used ? rf_strndup(text, used) : NULL;
}

static rf_ref record_skipped(const struct rf_module *module, const char *name, const char *reason) {
  if (state.change) {
    state.change->skipped++;
    state.change->reason = reason;
  }
  rf_ref *root = rf_recording_root(RF_TABLE_SKIPPED);
  struct rf_skipped_entry *entry = rf_table_append(root, RF_TABLE_SKIPPED, sizeof *entry, PER_CHUNK);
  if (!entry) return 0;
  rf_ref shown = rf_traced_shown(name);
  entry->name = shown ? shown : rf_recording_text(name);
  entry->module = rf_recording_text(module->name);
  entry->reason = rf_recording_text(reason);
  rf_table_publish(*root);
  return rf_recording_ref(entry);
}

static void withdraw_skipped(rf_ref skipped) {
  struct rf_skipped_entry *entry = skipped ? rf_recording_at(skipped) : NULL;
  if (!entry) return;
  entry->name = 0;
  if (state.change && state.change->skipped) state.change->skipped--;
}

static struct rf_full full_of_aliases(const struct candidate *first, size_t count) {
  struct rf_full full = first->full;
  for (size_t i = 1; i < count; i++) {
    full.flags |= first[i].full.flags;
    if (!full.own_share) full.own_share = first[i].full.own_share;
    full.every_call |= first[i].full.every_call;
  }
  return full;
}

/* ---- patching ---- */

/* Behind the segment that holds address: between segments nothing may be mapped. */
static uintptr_t segment_end(const struct rf_module *module, uintptr_t address) {
  struct rf_segment segments[MOST_SEGMENTS];
  size_t count = rf_module_text_segments(module, segments, MOST_SEGMENTS);
  for (size_t i = 0; i < count; i++)
    if (address - segments[i].start < segments[i].end - segments[i].start) return segments[i].end;
  return address;
}

/* The last extent at or before address, and from it the function's size and the distance to the next
 * function. */
static size_t size_of(const struct sweep *s, uintptr_t address, size_t *limit) {
  size_t low = rf_extent_from(s->extents, s->extent_count, address), size = 0;
  for (; low < s->extent_count && s->extents[low].address == address; low++)
    if (s->extents[low].size > size) size = s->extents[low].size;
  uintptr_t end = segment_end(s->module, address);
  if (low < s->extent_count && s->extents[low].address < end) end = s->extents[low].address;
  *limit = end > address ? end - address : 0;
  return size;
}

static const char *resolve_ifunc(const struct sweep *s, struct candidate *candidate) {
  if (!s->relocated) return "an indirect function of a library that is not relocated yet";
  uintptr_t (*resolver)(void) = (uintptr_t(*)(void))candidate->address;
  candidate->address = resolver();
  candidate->ifunc = false;
  if (rf_vdso_bytes(candidate->address)) {
    bool known = s->slotted || rf_traced_find(candidate->address) != UINT32_MAX;
    return known ? NULL : "its indirect function leads into the kernel's vDSO";
  }
  uintptr_t start = s->module->text_start, end = s->module->text_end;
  if (candidate->address < start || candidate->address >= end)
    return "its indirect function leads to another module";
  candidate->symbol = candidate->address;
  return NULL;
}

/* From the module's load address, by which it is known in other processes. A resolver may be timed as the
 * function that it is, so what it leads to out of the module is told apart. */
static uint64_t offset_of(const struct sweep *s, const struct candidate *c) {
  return c->symbol - s->module->load_address + (c->symbol != c->address);
}

/* The id that it had before its library was closed, or UINT32_MAX. */
static uint32_t find_unloaded(const struct sweep *s, const struct candidate *first) {
  return rf_traced_find_unloaded(s->module, offset_of(s, first), first->name);
}

/* What nothing can be patched of stands in skipped[]; by_slots: until a slot is found that leads there. One
 * that was timed so before its library was closed does not. */
static rf_ref skip(const struct sweep *s, const struct candidate *first, const char *reason, bool by_slots) {
  if (rf_vdso_bytes(first->address) && rf_traced_find(first->address) != UINT32_MAX)
    return 0; /* it is timed by its name in libc */
  uint32_t former = by_slots ? find_unloaded(s, first) : UINT32_MAX;
  rf_ref skipped = former == UINT32_MAX ? record_skipped(s->module, first->name, reason) : 0;
  if (by_slots) withdraw_skipped(rf_slots_want(s->module, first->symbol, first->address, skipped));
  return skipped;
}

static struct rf_branch_query query_of(const struct sweep *s, struct rf_segment segments[MOST_SEGMENTS]) {
  return (struct rf_branch_query){.module = s->module,
                                  .labels = &s->labels,
                                  .text_start = s->module->text_start,
                                  .text_end = s->module->text_end,
                                  .segments = segments,
                                  .segment_count =
                                      rf_module_text_segments(s->module, segments, MOST_SEGMENTS),
                                  .functions = s->extents,
                                  .function_count = s->extent_count};
}

/* Which candidates can't be entered by a jump in their first bytes, all in one scan of the module's code. */
static bool find_branches(struct sweep *s) {
  uintptr_t *starts = rf_calloc(s->candidate_count, sizeof *starts);
  s->entered = rf_calloc(s->candidate_count, sizeof *s->entered);
  for (size_t i = 0; starts && i < s->candidate_count; i++) starts[i] = s->candidates[i].address;
  struct rf_segment segments[MOST_SEGMENTS];
  struct rf_branch_query query = query_of(s, segments);
  query.starts = starts, query.start_count = s->candidate_count;
  rf_labels_find(&query, &s->labels);
  bool found = starts && s->entered && !s->labels.incomplete && rf_branches_find(&query, s->entered);
  rf_free(starts);
  return found;
}

static uint16_t entered_bytes(const struct sweep *s, const struct candidate *first, size_t count) {
  uint16_t entered = 0;
  for (size_t i = 0; s->entered && i < count; i++) entered |= s->entered[(size_t)(first - s->candidates) + i];
  return entered;
}

/* Where a counting stub finds the function's countdown; NULL: all its calls are timed. */
static const void *countdown_of(uint32_t id, const struct rf_full *full) {
  bool counting = rf_pace_thins(full->own_share) && !full->every_call && id < rf_countdown_capacity;
  return counting ? rf_no_countdowns + id : NULL;
}

static bool look_for_collector(void *user, const struct rf_module *module) {
  (void)user;
  if (!state.process_refusal) state.process_refusal = rf_refuse_process(module->name);
  if (rf_collector_scans_data(module->name)) rf_records_data_only();
  return !state.process_refusal;
}

/* What the rules of all its names ask of a function. */
static struct rf_select_function with_rules(const struct sweep *s, const struct candidate *first,
                                            size_t aliases, uint16_t *sets) {
  uint16_t count = 0;
  for (size_t i = 0; i < aliases; i++)
    for (uint16_t k = 0; k < first[i].set_count; k++) rf_wishes_add_set(sets, &count, first[i].sets[k]);
  return (struct rf_select_function){first->name, offset_of(s, first), sets, count};
}

/* Tells all at once, since describing them may take another program. */
static void prepare_rules(struct sweep *s) {
  struct rf_select_function *list = rf_calloc(s->candidate_count, sizeof *list);
  size_t count = 0;
  for (size_t i = 0; list && i < s->candidate_count; i++) {
    const struct candidate *c = &s->candidates[i];
    if (c->set_count)
      list[count++] = (struct rf_select_function){c->name, offset_of(s, c), c->sets, c->set_count};
  }
  if (count) rf_wishes_rules()->prepare(s->module, list, count);
  rf_free(list);
}

/* A function that has an id and is mapped: it is timed, or was until it was removed. */
static void time_again(uint32_t id) {
  struct rf_traced *traced = rf_traced_at(id);
  if (state.change) *(traced->gone ? &state.change->changed : &state.change->unchanged) += 1;
  if (!traced->gone) return;
  rf_traced_set_gone(id, 0);
  if (traced->by_slots)
    rf_slots_turn(traced->address, true);
  else
    rf_patch_repeat(id);
}

/* What is known of the code around functions that a first look refused. */
struct surroundings {
  struct rf_branch_list branches;
  uintptr_t *scarce; /* these functions */
  size_t count;
};

static bool remember(const struct sweep *s, const struct candidate *first, size_t aliases, size_t size) {
  struct rf_traced fresh = {.name = rf_strdup(first->name),
                            .aliases = alias_text(first, aliases),
                            .offset = offset_of(s, first),
                            .size = size,
                            .address = first->address,
                            .by_slots = s->slotted,
                            .full = full_of_aliases(first, aliases)};
  return rf_traced_add(s->module, fresh);
}

static const char *patch(const struct sweep *s, const struct candidate *first, size_t aliases,
                         const struct surroundings *around, struct rf_patched *patched) {
  *patched = (struct rf_patched){0};
  if (state.process_refusal) return state.process_refusal;
  if (is_go(s, first->address)) return "Go moves its stacks and finds its frames by their return addresses";
  for (size_t i = 0; i < aliases; i++) {
    const char *reason = rf_refuse_name(s->module->name, first[i].name);
    if (reason) return reason;
  }
  uint32_t id = rf_traced_find(first->address);
  if (id != UINT32_MAX) return time_again(id), NULL;
  id = find_unloaded(s, first);
  bool known = id != UINT32_MAX;
  if (!known) id = rf_traced_count();
  if (id >= RF_MOST_FUNCTIONS) return "more functions than Refunc can time at once";
  size_t limit, size = size_of(s, first->address, &limit);
  if (!limit) limit = rf_vdso_bytes(first->address);
  struct rf_full full = full_of_aliases(first, aliases);
  uint16_t sets[RF_SELECT_SETS];
  struct rf_select_function ruled = with_rules(s, first, aliases, sets);
  full.every_call |= ruled.set_count != 0;
  bool plain = !full.every_call && !full.flags && full.mode == RF_CLOCK_PERF_COUNTER;
  bool described = !plain || full.own_share;
  if (described && !(known && rf_sites[id].extra) && !rf_full_set(id, &full)) return "no memory";
  struct rf_patch_request request = {.address = first->address,
                                     .size = size,
                                     .limit = limit,
                                     .id = id,
                                     .entry = plain             ? rf_enter
                                              : ruled.set_count ? rf_enter_checked
                                                                : rf_enter_full,
                                     .countdown = countdown_of(id, &full),
                                     .low = s->module->text_start,
                                     .high = s->module->text_end,
                                     .module = s->module,
                                     .entered = entered_bytes(s, first, aliases),
                                     .functions = s->extents,
                                     .function_count = s->extent_count,
                                     .quiet = s->quiet,
                                     .branches = around ? &around->branches : NULL,
                                     .scarce = around ? around->scarce : NULL,
                                     .scarce_count = around ? around->count : 0};
  const char *reason = (s->slotted ? rf_patch_add_through : rf_patch_add)(&request, patched);
  if (reason) return reason;
  if (!(known ? rf_traced_come_back(id, s->module, first->address) : remember(s, first, aliases, size)))
    return "the recording is full";
  if (ruled.set_count) rf_full_set_checker(id, rf_wishes_rules()->make(id, s->module, &ruled));
  rf_sites[id].body = patched->body;
  if (s->slotted) rf_slots_time(first->address, id, patched->stub);
  if (state.change) state.change->changed++;
  return NULL;
}

static bool look_around(const struct sweep *s, const size_t *scarce, size_t count,
                        struct surroundings *around) {
  struct rf_segment segments[MOST_SEGMENTS];
  struct rf_branch_query query = query_of(s, segments);
  struct rf_extent *areas = rf_calloc(count, sizeof *areas);
  *around = (struct surroundings){.scarce = rf_calloc(count, sizeof *around->scarce), .count = count};
  for (size_t i = 0; areas && around->scarce && i < count; i++) {
    around->scarce[i] = s->candidates[scarce[i]].address;
    areas[i] = (struct rf_extent){around->scarce[i] - RF_PATCH_AREA, 2 * RF_PATCH_AREA};
  }
  bool listed = areas && around->scarce && rf_branches_list(&query, areas, count, &around->branches);
  rf_free(areas);
  return listed;
}

/*
 * Functions without room for a jump, and those that are branched into, need more of the code around them to
 * be changed. That takes all branches there to be known, and is worth another scan only where there are such.
 */
static void patch_scarce(const struct sweep *s, const size_t *scarce, size_t count) {
  struct surroundings around;
  bool listed = look_around(s, scarce, count, &around);
  struct rf_patched patched;
  for (size_t i = 0; i < count; i++) {
    const struct candidate *first = &s->candidates[scarce[i]];
    const char *reason = patch(s, first, aliases_at(s, scarce[i]), listed ? &around : NULL, &patched);
    if (reason) skip(s, first, reason, patched.by_slots);
  }
  if (listed) rf_branch_list_free(&around.branches);
  rf_free(around.scarce);
}

static void patch_candidates(struct sweep *s) {
  bool analysed = find_branches(s);
  size_t *scarce = rf_calloc(s->candidate_count, sizeof *scarce), scarce_count = 0;
  if (rf_wishes_rules()) prepare_rules(s);
  uint64_t mask = rf_traced_lock();
  for (size_t i = 0, count; i < s->candidate_count; i += count) {
    const struct candidate *first = &s->candidates[i];
    struct rf_patched patched = {0};
    count = aliases_at(s, i);
    const char *reason =
        analysed ? patch(s, first, count, NULL, &patched) : "no memory to analyse its module";
    if (reason && patched.scarce && scarce && s->quiet)
      scarce[scarce_count++] = i;
    else if (reason)
      skip(s, first, reason, patched.by_slots || rf_vdso_bytes(first->address));
  }
  if (scarce_count) patch_scarce(s, scarce, scarce_count);
  rf_traced_unlock(mask);
  rf_free(scarce);
}

/* Functions that were refused, and that slots were found to lead to. */
static void patch_slotted(struct sweep *s) {
  struct rf_patched patched;
  uint64_t note;
  if (rf_wishes_rules()) prepare_rules(s);
  uint64_t mask = rf_traced_lock();
  for (size_t i = 0, count; i < s->candidate_count; i += count) {
    const struct candidate *first = &s->candidates[i];
    count = aliases_at(s, i);
    if (!rf_slots_found(first->address, &note) || patch(s, first, count, NULL, &patched)) continue;
    withdraw_skipped(note);
  }
  rf_traced_unlock(mask);
}

static void drop_candidate(struct sweep *s, size_t index) {
  rf_free(s->candidates[index].name);
  s->candidates[index] = s->candidates[--s->candidate_count];
}

static void await_relocation(struct sweep *s, rf_ref skipped) {
  struct waiting_ifunc *list =
      rf_grow(state.waiting, state.waiting_count, &state.waiting_capacity, sizeof *list);
  if (!list) return;
  state.waiting = list;
  list[state.waiting_count++] = (struct waiting_ifunc){s->module->load_address, skipped};
  s->waiting = true;
}

/* Those that stood in skipped[] for want of relocation are looked at now, or their library is gone. */
static void end_waiting(uintptr_t load_address, bool timed) {
  for (size_t i = 0; i < state.waiting_count; i++) {
    if (state.waiting[i].load_address != load_address) continue;
    if (timed) withdraw_skipped(state.waiting[i].skipped);
    state.waiting[i--] = state.waiting[--state.waiting_count];
  }
}

static void resolve_indirect(struct sweep *s) {
  bool only_indirect = s->waiting;
  s->waiting = false;
  for (size_t i = 0; i < s->candidate_count; i++) {
    struct candidate *candidate = &s->candidates[i];
    if (!candidate->ifunc) {
      if (only_indirect) drop_candidate(s, i--);
      continue;
    }
    const char *reason = rf_refuse_name(s->module->name, candidate->name);
    bool refused = reason != NULL;
    if (!reason) reason = resolve_ifunc(s, candidate);
    if (!reason) continue;
    if (!s->slotted) {
      rf_ref skipped = skip(s, candidate, reason, !refused && rf_vdso_bytes(candidate->address));
      if (!refused && !s->relocated) await_relocation(s, skipped);
    }
    drop_candidate(s, i--);
  }
}

static void keep_slotted(struct sweep *s) {
  uint64_t note;
  for (size_t i = 0; i < s->candidate_count; i++)
    if (!rf_slots_found(s->candidates[i].address, &note)) drop_candidate(s, i--);
}

/* ---- modules that come and go ---- */

static void forget_functions(const struct rf_seen *module) {
  for (uint32_t id = 0; id < rf_traced_count(); id++) {
    const struct rf_traced *traced = rf_traced_at(id);
    if (!traced->address || traced->load_address != module->load_address ||
        strcmp(traced->path, module->path) != 0)
      continue;
    rf_traced_unload(id);
    rf_patch_forget(id);
  }
  rf_patch_forget_code(module->text_start, module->text_end);
  rf_slots_forget(module->load_address);
  end_waiting(module->load_address, false);
}

/* Before what is new is patched: code at an address that was another module's is not taken for that. */
static void meet_modules(void) {
  rf_seen_meet();
  uint64_t mask = rf_traced_lock();
  rf_seen_forget_closed(forget_functions);
  rf_traced_unlock(mask);
}

static void free_sweep(struct sweep *s) {
  for (size_t i = 0; i < s->candidate_count; i++) rf_free(s->candidates[i].name);
  rf_free(s->candidates);
  rf_free(s->extents);
  rf_free(s->entered);
  rf_labels_free(&s->labels);
}

static void sweep_symbols(struct sweep *s, struct rf_seen *seen) {
  rf_symbols_visit(s->module, collect_symbol, s, NULL);
  if (s->candidate_count) {
    resolve_indirect(s);
    if (s->slotted)
      keep_slotted(s);
    else
      seen->waiting = s->waiting;
    rf_sort(s->extents, s->extent_count, sizeof *s->extents, by_address);
    if (s->candidate_count) collect_other_names(s);
    if (s->candidate_count) (s->slotted ? patch_slotted : patch_candidates)(s);
  }
  free_sweep(s);
}

/* The next sweep comes when the library is relocated, or, if that can't be had, whenever the loader says
 * something again. */
static void await_constructors(const struct rf_module *module) {
  struct rf_dynamic dynamic;
  if (!state.dry && rf_dynamic_read(module, &dynamic)) rf_constructor_precede(&dynamic, rf_constructor_entry);
}

/* A module is looked at once, and its IFUNCs again by the next sweep: the loader has relocated it by then. */
static bool sweep_module(void *user, const struct rf_module *module) {
  struct rf_seen *seen = rf_seen_find(module);
  if (!seen || (seen->swept && !seen->waiting)) return true;
  struct sweep s = {.module = module,
                    .relocated = *(bool *)user || !rf_seen_is_new(seen),
                    .waiting = seen->waiting,
                    .quiet = !seen->swept};
  if (seen->waiting) end_waiting(module->load_address, true);
  seen->waiting = false;
  seen->swept = true;
  if (rf_wishes_want_module(module->name)) sweep_symbols(&s, seen);
  if (seen->waiting) await_constructors(module);
  return true;
}

/* ---- functions that slots lead to ---- */

struct looking {
  bool relocated, changing; /* all modules are; while the process runs, for somebody who asked */
};

static bool meet_for_slots(void *user, const struct rf_module *module) {
  const struct looking *l = user;
  const struct rf_seen *seen = rf_seen_find(module);
  if (!seen) return true;
  bool ready = l->changing ? rf_seen_is_settled(seen) : l->relocated || !rf_seen_is_new(seen);
  bool quiet = l->changing || (l->relocated && rf_seen_is_quiet(seen));
  rf_slots_meet(module, (ready ? RF_SLOTS_READY : 0) | (quiet ? RF_SLOTS_QUIET : 0) |
                            (rf_seen_is_initial(seen) ? RF_SLOTS_INITIAL : 0));
  return true;
}

static bool sweep_slotted(void *user, const struct rf_module *module) {
  (void)user;
  struct rf_seen *seen = rf_seen_find(module);
  if (!seen || !rf_slots_owner_found(module->load_address)) return true;
  struct sweep s = {.module = module, .relocated = true, .slotted = true};
  sweep_symbols(&s, seen);
  return true;
}

static void look_for_slots(bool relocated, bool changing) {
  struct looking looking = {relocated, changing};
  rf_slots_begin();
  rf_modules_visit(meet_for_slots, &looking);
  rf_slots_look(rf_constructor_entry);
  rf_modules_visit(sweep_slotted, NULL);
  rf_slots_settle();
}

static void apply_slots(void) {
  size_t failures = rf_slots_apply();
  if (failures)
    rf_log_once(RF_LOG_WARN, "some calls stay unseen: the kernel refuses to change %zu addresses", failures);
}

static void write_failed(void *user, uint32_t id, const char *reason) {
  (void)user;
  rf_log_once(RF_LOG_WARN, "function %u and perhaps others stay untimed: %s", id, reason);
}

void rf_select_sweep(bool relocated) {
  meet_modules();
  if (!rf_wishes_any()) return;
  const char *problem = rf_patch_open();
  if (problem) {
    rf_record_unavailable("functions", problem);
    rf_log_once(RF_LOG_WARN, "no function is timed: %s", problem);
    return;
  }
  rf_modules_visit(look_for_collector, NULL);
  rf_modules_visit(sweep_module, &relocated);
  look_for_slots(relocated, false);
  rf_traced_publish();
  if (!state.dry) {
    rf_patch_commit(write_failed, NULL);
    apply_slots();
  }
  rf_patch_close();
  rf_wishes_update_unmatched();
}

/* ---- changes while the process runs ---- */

static bool change_module(void *user, const struct rf_module *module) {
  struct rf_command *command = user;
  struct rf_seen *seen = rf_seen_find(module);
  if (!seen || !rf_pattern_wants_module(command->set, module->name)) return true;
  /* The newest may be in the loader's hands still. */
  struct sweep s = {.module = module,
                    .relocated = rf_seen_is_settled(seen),
                    .quiet = true, /* the tool stops all threads */
                    .only = command->set};
  bool waiting = seen->waiting;
  sweep_symbols(&s, seen);
  seen->waiting |= waiting;
  return true;
}

static void add_functions(struct rf_command *command, struct rf_select_change *change) {
  rf_modules_visit(look_for_collector, NULL);
  rf_modules_visit(change_module, command);
  look_for_slots(false, true);
  if (!command->hits)
    rf_wishes_tell_unmatched(command, change->nearest, sizeof change->nearest);
  else
    rf_unmatched_withdraw(&command->unmatched);
}

static void remove_functions(struct rf_command *command, struct rf_select_change *change) {
  for (uint32_t id = 0; id < rf_traced_count(); id++) {
    const struct rf_traced *traced = rf_traced_at(id);
    if (!traced->address || !rf_wishes_name(command->set, traced)) continue;
    command->hits++;
    if (traced->gone) {
      change->unchanged++;
      continue;
    }
    rf_traced_set_gone(id, RF_FUNCTION_REMOVED);
    if (traced->by_slots)
      rf_slots_turn(traced->address, false);
    else
      rf_patch_restore(id);
    change->changed++;
  }
}

const char *rf_select_change(bool add, const char *pattern, struct rf_select_change *change) {
  static char error[512];
  const char *problem = state.process_refusal ? state.process_refusal : rf_patch_open();
  if (problem) return problem;
  struct rf_command *command = rf_wishes_command(add, pattern, error, sizeof error);
  if (command) {
    rf_full_start();
    meet_modules();
    state.change = change;
    (add ? add_functions : remove_functions)(command, change);
    state.change = NULL;
    rf_traced_publish();
    change->edits = rf_patch_export(&change->edit_count);
    apply_slots();
    if (state.process_refusal) problem = state.process_refusal;
  }
  rf_patch_close();
  return command ? problem : error;
}
