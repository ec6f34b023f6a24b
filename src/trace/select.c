/* See select.h. */
#include "trace/select.h"

#include <stdlib.h>
#include <string.h>

#include "arch/entry.h"
#include "arch/stub.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/signals.h"
#include "base/thread.h"
#include "elf/demangle.h"
#include "elf/module.h"
#include "elf/pattern.h"
#include "patch/branches.h"
#include "patch/patch.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/address_index.h"
#include "trace/call.h"
#include "trace/callers.h"
#include "trace/full.h"
#include "trace/pace.h"
#include "trace/records.h"
#include "trace/refuse.h"

#define PER_CHUNK 64
#define NAME_BYTES 4096
#define MOST_SEGMENTS 16

/* A matched name at an address; several with one address are aliases of one function. */
struct candidate {
  uintptr_t address;
  char *name;
  bool global, ifunc;
  struct rf_full full;           /* what its patterns ask of it */
  uint16_t sets[RF_SELECT_SETS]; /* of rules; how many: next field */
  uint16_t set_count;
};

/* What a forked child needs to record a timed function again. */
struct rf_traced {
  char *name, *aliases, *path, *module;
  uint64_t offset, size;
  uintptr_t address;
  struct rf_full full;
  uint8_t build_id[20];
  uint32_t build_id_bytes;
  uint32_t gone; /* RF_FUNCTION_REMOVED, RF_FUNCTION_UNLOADED: it may come back under the same id; address 0:
                    unloaded */
  rf_ref recorded; /* its entry in functions[] */
};

/* A pattern that was added or removed while the process ran; the last one that matches a function decides. */
struct command {
  struct rf_pattern_set *set; /* of one */
  bool add;
  uint32_t hits;
  rf_ref unmatched; /* as in state.unmatched */
};

/* One module while it is looked at. */
struct sweep {
  const struct rf_module *module;
  struct candidate *candidates;
  size_t candidate_count, candidate_capacity;
  struct rf_extent *extents; /* of every function, to know where the next one begins */
  size_t extent_count, extent_capacity;
  uint16_t *entered;           /* by candidate: which of its first bytes are branched to */
  bool relocated, waiting;     /* waiting: its IFUNCs alone are looked at, once more */
  bool quiet;                  /* none of its code runs while it is patched */
  struct rf_pattern_set *only; /* other functions than these are left out; NULL: none is */
};

struct seen_module {
  uintptr_t load_address, text_start, text_end;
  char *path;
  uint32_t first_sweep, sweep; /* the first and the last one that met it */
  bool waiting;                /* it has IFUNCs that could not be resolved yet */
  bool swept;
};

/* An IFUNC that stands in skipped[] until its library is relocated. */
struct waiting_ifunc {
  uintptr_t load_address;
  rf_ref skipped;
};

static struct {
  struct rf_pattern_set *wanted, *excluded;
  uint32_t *hits;         /* by pattern */
  struct rf_full *wishes; /* by pattern: settings of single functions */
  struct rf_full everywhere;
  const struct rf_select_rules *rules;
  uint16_t *set_of;  /* by pattern: its set of rules + 1; 0: none */
  rf_ref *unmatched; /* by pattern: its entry in unmatched[], while it stands there */
  bool dry;
  const char *process_refusal; /* why nothing can be timed; NULL: it can */
  uint32_t count;              /* functions with an id */
  struct rf_traced *traced;    /* by id */
  size_t traced_capacity;
  struct rf_address_index by_address; /* of those that were not unloaded, and of others */
  uint32_t unloaded;
  struct seen_module *seen;
  size_t seen_count, seen_capacity;
  uint32_t sweep;
  struct command *commands;
  size_t command_count, command_capacity;
  struct waiting_ifunc *waiting;
  size_t waiting_count, waiting_capacity;
  struct rf_select_change *change; /* what is being done for somebody who asked; NULL: nothing */
} state;

/* Ids are given out under it, and what lies by id moves under it: a sweep's thread, and any that names a
 * block. */
static struct rf_lock ids;

static uint64_t take_ids(void) {
  uint64_t mask = rf_signals_block();
  rf_lock_take(&ids);
  return mask;
}

static void give_ids(uint64_t mask) {
  rf_lock_give(&ids);
  rf_signals_restore(mask);
}

uint32_t rf_select_count(void) { return state.count; }

static void *grow(void *array, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity) return array;
  size_t wanted = *capacity ? *capacity * 2 : 256;
  void *grown = rf_realloc(array, wanted * size);
  if (grown) *capacity = wanted;
  return grown;
}

/* ---- patterns ---- */

static int add_pattern(struct rf_pattern_set *set, const char *text, const char *origin) {
  char error[512];
  int index = rf_pattern_add(set, text, error, sizeof error);
  if (index < 0) rf_log(RF_LOG_ERROR, "%s: %s", origin, error);
  return index;
}

static void add_list(struct rf_pattern_set *set, const struct rf_options *options, enum rf_option option) {
  const struct rf_option_item *items;
  size_t count = rf_option_list(options, option, &items);
  for (size_t i = 0; i < count; i++) add_pattern(set, items[i].text, items[i].origin);
}

/* Naming a function under functions: traces it. */
static void add_configured_functions(const struct rf_options *options) {
  const struct rf_function_setting *settings;
  size_t count = rf_option_functions(options, &settings);
  for (size_t i = 0; i < count; i++)
    if (i == 0 || strcmp(settings[i].pattern, settings[i - 1].pattern) != 0)
      add_pattern(state.wanted, settings[i].pattern, settings[i].origin);
}

/* Functions that carry rules or that a span begins or ends with are traced, whether they are named elsewhere
 * or not. */
static void add_rule_patterns(void) {
  for (size_t i = 0; state.rules && i < state.rules->count; i++)
    add_pattern(state.wanted, state.rules->patterns[i], state.rules->origins[i]);
}

static bool find_rule_sets(void) {
  size_t patterns = rf_pattern_count(state.wanted);
  state.set_of = rf_calloc(patterns + 1, sizeof *state.set_of);
  if (!state.set_of) return false;
  for (size_t k = 0; k < patterns; k++)
    for (size_t i = 0; state.rules && i < state.rules->count && i < UINT16_MAX - 1; i++)
      if (!strcmp(state.rules->patterns[i], rf_pattern_text(state.wanted, k)))
        state.set_of[k] = (uint16_t)(i + 1);
  return true;
}

static bool is_on(const char *value) {
  return !strcmp(value, "on") || !strcmp(value, "true") || !strcmp(value, "yes");
}

static enum rf_clock_mode mode_named(const char *value) {
  static const char *const names[] = {"perf_counter", "wall_clock", "process_time", "thread_time"};
  for (int i = 0; i < 4; i++)
    if (!strcmp(value, names[i])) return (enum rf_clock_mode)i;
  return RF_CLOCK_PERF_COUNTER;
}

static void read_wish(const struct rf_function_setting *setting, struct rf_full *wish) {
  if (!strcmp(setting->key, "memory") && is_on(setting->value)) wish->flags |= RF_FUNCTION_HEAP;
  if (!strcmp(setting->key, "system") && is_on(setting->value)) wish->flags |= RF_FUNCTION_SYSTEM;
  if (!strcmp(setting->key, "mode")) wish->mode = mode_named(setting->value);
  if (wish->flags) wish->every_call = true;
}

static void read_wishes(const struct rf_options *options) {
  const struct rf_function_setting *settings;
  size_t count = rf_option_functions(options, &settings), patterns = rf_pattern_count(state.wanted);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < patterns; k++)
      if (!strcmp(settings[i].pattern, rf_pattern_text(state.wanted, k)))
        read_wish(&settings[i], &state.wishes[k]);
  if (rf_option_on(options, RF_OPT_HEAP_PER_FUNCTION)) state.everywhere.flags |= RF_FUNCTION_HEAP;
  if (rf_option_on(options, RF_OPT_SYSTEM_PER_FUNCTION)) state.everywhere.flags |= RF_FUNCTION_SYSTEM;
  state.everywhere.mode = (enum rf_clock_mode)rf_option_choice(options, RF_OPT_TIMING_MODE);
}

bool rf_select_start(const struct rf_select_plan *plan) {
  state.dry = plan->dry;
  state.wanted = rf_pattern_set_new();
  state.excluded = rf_pattern_set_new();
  if (!state.wanted || !state.excluded) return false;
  add_list(state.wanted, plan->options, RF_OPT_TRACE_FUNCTIONS);
  add_configured_functions(plan->options);
  state.rules = plan->rules;
  add_rule_patterns();
  add_list(state.excluded, plan->options, RF_OPT_TRACE_EXCLUDE);
  size_t patterns = rf_pattern_count(state.wanted);
  state.hits = rf_calloc(patterns + 1, sizeof *state.hits);
  state.wishes = rf_calloc(patterns + 1, sizeof *state.wishes);
  state.unmatched = rf_calloc(patterns + 1, sizeof *state.unmatched);
  if (!rf_sites) rf_sites = rf_pages(RF_MOST_FUNCTIONS * sizeof *rf_sites);
  if (!state.hits || !state.wishes || !state.unmatched || !rf_sites || !find_rule_sets()) return false;
  read_wishes(plan->options);
  if (patterns) rf_full_start();
  return patterns != 0;
}

/* ---- collecting one module's symbols ---- */

struct choice {
  bool hit;
  struct rf_full full;
  uint16_t sets[RF_SELECT_SETS], set_count;
};

/* Adds a set that is not there yet; more than there is room for are left out, and that is said. */
static void add_set(uint16_t *sets, uint16_t *count, uint16_t set) {
  for (uint16_t i = 0; i < *count; i++)
    if (sets[i] == set) return;
  if (*count < RF_SELECT_SETS)
    sets[(*count)++] = set;
  else
    rf_log_once(RF_LOG_WARN, "a function has the rules of %d patterns; those of more are left out",
                RF_SELECT_SETS);
}

/* A function's own settings beat the global ones, whichever pattern comes first. */
static void note_hit(void *user, size_t index) {
  struct choice *choice = user;
  const struct rf_full *wish = &state.wishes[index];
  choice->hit = true;
  choice->full.flags |= wish->flags;
  choice->full.every_call |= wish->every_call;
  if (!choice->full.mode) choice->full.mode = wish->mode;
  if (state.set_of[index]) add_set(choice->sets, &choice->set_count, (uint16_t)(state.set_of[index] - 1));
  state.hits[index]++;
}

static bool choose(const char *module, const char *name, struct choice *choice) {
  *choice = (struct choice){0};
  rf_pattern_match_all(state.wanted, module, name, note_hit, choice);
  choice->full.flags |= state.everywhere.flags;
  if (!choice->full.mode) choice->full.mode = state.everywhere.mode;
  bool wanted = choice->hit && rf_pattern_match(state.excluded, module, name) < 0;
  for (size_t i = 0; i < state.command_count; i++) {
    struct command *command = &state.commands[i];
    if (rf_pattern_match(command->set, module, name) < 0) continue;
    wanted = command->add;
    command->hits++;
  }
  return wanted;
}

static bool collect_symbol(void *user, const struct rf_symbol *symbol) {
  struct sweep *s = user;
  struct rf_extent *extents = grow(s->extents, s->extent_count, &s->extent_capacity, sizeof *extents);
  if (!extents) return false;
  s->extents = extents;
  if (symbol->kind == RF_SYMBOL_FUNCTION)
    extents[s->extent_count++] = (struct rf_extent){symbol->address, symbol->size};
  struct choice choice;
  if (rf_symbol_is_cold(symbol->name) ||
      (s->only && rf_pattern_match(s->only, s->module->name, symbol->name) < 0))
    return true;
  if (!choose(s->module->name, symbol->name, &choice)) return true;
  struct candidate *list = grow(s->candidates, s->candidate_count, &s->candidate_capacity, sizeof *list);
  if (!list) return false;
  s->candidates = list;
  char *name = rf_strdup(symbol->name);
  if (!name) return false;
  struct candidate *fresh = &list[s->candidate_count++];
  *fresh = (struct candidate){.address = symbol->address,
                              .name = name,
                              .global = symbol->global,
                              .ifunc = symbol->kind == RF_SYMBOL_IFUNC,
                              .full = choice.full,
                              .set_count = choice.set_count};
  memcpy(fresh->sets, choice.sets, sizeof fresh->sets);
  return true;
}

static int by_address(const void *a, const void *b) {
  uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
  return x < y ? -1 : x > y;
}

/* Same address: the name that people know first: global, without leading underscores, short. */
static int by_address_and_name(const void *a, const void *b) {
  const struct candidate *x = a, *y = b;
  if (x->address != y->address) return x->address < y->address ? -1 : 1;
  if (x->global != y->global) return x->global ? -1 : 1;
  int underscore = (x->name[0] == '_') - (y->name[0] == '_');
  if (underscore) return underscore;
  int length = (int)strlen(x->name) - (int)strlen(y->name);
  return length ? length : strcmp(x->name, y->name);
}

/* libc sorts large arrays in memory that it allocates: from Refunc's heap, as for everything it does for us.
 */
static void sort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *)) {
  rf_internal_enter();
  qsort(base, count, size, compare);
  rf_internal_leave();
}

/* ---- recording what was found ---- */

/* What people call it: demangled, and a clone by the name of its source. 0: as it is. */
static rf_ref shown_ref(const char *name) {
  char text[NAME_BYTES], source[NAME_BYTES];
  size_t base = rf_symbol_base_length(name);
  bool clone = name[base] != '\0' && base < sizeof source;
  if (clone) {
    memcpy(source, name, base);
    source[base] = '\0';
  }
  size_t length = rf_demangle(clone ? source : name, text, sizeof text);
  return length ? rf_recording_string(text, length) : clone ? rf_recording_string(source, base) : 0;
}

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

/* One copy of a path for all functions of a module. */
static char *module_path(const struct rf_module *module) {
  const struct rf_traced *last = state.count ? &state.traced[state.count - 1] : NULL;
  return last && !strcmp(last->path, module->path) ? last->path : rf_strdup(module->path);
}

static char *module_name(const struct rf_module *module) {
  const struct rf_traced *last = state.count ? &state.traced[state.count - 1] : NULL;
  return last && !strcmp(last->module, module->name) ? last->module : rf_strdup(module->name);
}

static rf_ref record_skipped(const struct rf_module *module, const char *name, const char *reason) {
  if (state.change) {
    state.change->skipped++;
    state.change->reason = reason;
  }
  rf_ref *root = rf_recording_root(RF_TABLE_SKIPPED);
  struct rf_skipped_entry *entry = rf_table_append(root, RF_TABLE_SKIPPED, sizeof *entry, PER_CHUNK);
  if (!entry) return 0;
  rf_ref shown = shown_ref(name);
  entry->name = shown ? shown : rf_recording_text(name);
  entry->module = rf_recording_text(module->name);
  entry->reason = rf_recording_text(reason);
  rf_table_publish(*root);
  return rf_recording_ref(entry);
}

static char block_module[] = "refunc.h";

static bool record_function(struct rf_traced *traced) {
  rf_ref *root = rf_recording_root(RF_TABLE_FUNCTION);
  struct rf_function_entry *entry = rf_table_append(root, RF_TABLE_FUNCTION, sizeof *entry, PER_CHUNK);
  if (!entry) return false;
  entry->name = rf_recording_text(traced->name);
  entry->demangled = traced->path == block_module ? 0 : shown_ref(traced->name);
  entry->aliases = rf_recording_text(traced->aliases);
  entry->module = rf_recording_text(traced->module);
  entry->module_path = rf_recording_text(traced->path);
  entry->mode = traced->full.mode;
  entry->flags = traced->full.flags | traced->gone;
  entry->module_offset = traced->offset;
  entry->size = traced->size;
  entry->build_id_bytes = traced->build_id_bytes;
  memcpy(entry->build_id, traced->build_id, sizeof entry->build_id);
  traced->recorded = rf_recording_ref(entry);
  rf_table_publish(*root);
  return true;
}

/* It is gone, or there again. */
static void set_gone(struct rf_traced *traced, uint32_t gone) {
  struct rf_function_entry *entry = rf_recording_at(traced->recorded);
  traced->gone = gone;
  if (entry) entry->flags = traced->full.flags | gone;
}

static struct rf_full full_of_aliases(const struct candidate *first, size_t count) {
  struct rf_full full = first->full;
  for (size_t i = 1; i < count; i++) {
    full.flags |= first[i].full.flags;
    full.every_call |= first[i].full.every_call;
  }
  return full;
}

static bool remember(const struct sweep *s, const struct candidate *first, size_t aliases, size_t size) {
  const struct rf_module *module = s->module;
  struct rf_traced *list = grow(state.traced, state.count, &state.traced_capacity, sizeof *list);
  if (!list) return false;
  state.traced = list;
  struct rf_traced *traced = &list[state.count];
  *traced = (struct rf_traced){.name = rf_strdup(first->name),
                               .aliases = alias_text(first, aliases),
                               .path = module_path(module),
                               .module = module_name(module),
                               .offset = first->address - module->load_address,
                               .size = size,
                               .address = first->address,
                               .full = full_of_aliases(first, aliases),
                               .build_id_bytes = module->build_id_bytes};
  memcpy(traced->build_id, module->build_id, sizeof traced->build_id);
  return traced->name && traced->path && traced->module && record_function(traced) &&
         rf_address_index_put(&state.by_address, traced->address, state.count);
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
  size_t low = 0, high = s->extent_count, size = 0;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (s->extents[middle].address < address)
      low = middle + 1;
    else
      high = middle;
  }
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
  uintptr_t start = s->module->text_start, end = s->module->text_end;
  return candidate->address >= start && candidate->address < end
             ? NULL
             : "its indirect function leads to another module";
}

static struct rf_branch_query query_of(const struct sweep *s, struct rf_segment segments[MOST_SEGMENTS]) {
  return (struct rf_branch_query){.module = s->module,
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
  bool found = starts && s->entered && rf_branches_find(&query, s->entered);
  rf_free(starts);
  return found;
}

static uint16_t entered_bytes(const struct sweep *s, const struct candidate *first, size_t count) {
  uint16_t entered = 0;
  for (size_t i = 0; i < count; i++) entered |= s->entered[(size_t)(first - s->candidates) + i];
  return entered;
}

/* Where a counting stub finds the function's countdown; NULL: all its calls are timed. */
static const void *countdown_of(uint32_t id, const struct rf_full *full) {
  bool counting = rf_pace_active() && !full->every_call && id < rf_countdown_capacity;
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
    for (uint16_t k = 0; k < first[i].set_count; k++) add_set(sets, &count, first[i].sets[k]);
  return (struct rf_select_function){first->name, first->address - s->module->load_address, sets, count};
}

/* Tells all at once, since describing them may take another program. */
static void prepare_rules(struct sweep *s) {
  struct rf_select_function *list = rf_calloc(s->candidate_count, sizeof *list);
  size_t count = 0;
  for (size_t i = 0; list && i < s->candidate_count; i++) {
    const struct candidate *c = &s->candidates[i];
    if (c->set_count)
      list[count++] =
          (struct rf_select_function){c->name, c->address - s->module->load_address, c->sets, c->set_count};
  }
  if (count) state.rules->prepare(s->module, list, count);
  rf_free(list);
}

/* The id of a function that is mapped and has one, or UINT32_MAX. */
static uint32_t id_at(uintptr_t address) {
  uint32_t id = rf_address_index_find(&state.by_address, address);
  return id != UINT32_MAX && state.traced[id].address == address ? id : UINT32_MAX;
}

static bool was_unloaded(const struct rf_traced *traced, const struct sweep *s,
                         const struct candidate *first) {
  return traced->gone & RF_FUNCTION_UNLOADED && traced->offset == first->address - s->module->load_address &&
         !strcmp(traced->path, s->module->path) && !strcmp(traced->name, first->name) &&
         !memcmp(traced->build_id, s->module->build_id, sizeof traced->build_id);
}

/* Functions mostly come back in the order in which they got their ids, so the search begins behind the last
 * one found. */
static uint32_t find_unloaded(const struct sweep *s, const struct candidate *first) {
  static uint32_t last;
  for (uint32_t i = 0; state.unloaded && i < state.count; i++) {
    uint32_t id = (last + 1 + i) % state.count;
    if (was_unloaded(&state.traced[id], s, first)) return last = id;
  }
  return UINT32_MAX;
}

/* A function that has an id and is mapped: it is timed, or was until it was removed. */
static void time_again(uint32_t id) {
  struct rf_traced *traced = &state.traced[id];
  if (state.change) *(traced->gone ? &state.change->changed : &state.change->unchanged) += 1;
  if (!traced->gone) return;
  set_gone(traced, 0);
  rf_patch_repeat(id);
}

static bool come_back(uint32_t id, const struct candidate *first) {
  state.traced[id].address = first->address;
  state.unloaded--;
  set_gone(&state.traced[id], 0);
  return rf_address_index_put(&state.by_address, first->address, id);
}

/* What is known of the code around functions that a first look refused. */
struct surroundings {
  struct rf_branch_list branches;
  uintptr_t *scarce; /* these functions */
  size_t count;
};

static const char *patch(const struct sweep *s, const struct candidate *first, size_t aliases,
                         const struct surroundings *around, bool *scarce) {
  if (state.process_refusal) return state.process_refusal;
  for (size_t i = 0; i < aliases; i++) {
    const char *reason = rf_refuse_name(s->module->name, first[i].name);
    if (reason) return reason;
  }
  uint32_t id = id_at(first->address);
  if (id != UINT32_MAX) return time_again(id), NULL;
  id = find_unloaded(s, first);
  bool known = id != UINT32_MAX;
  if (!known) id = state.count;
  if (id >= RF_MOST_FUNCTIONS) return "more functions than Refunc can time at once";
  size_t limit, size = size_of(s, first->address, &limit);
  struct rf_full full = full_of_aliases(first, aliases);
  uint16_t sets[RF_SELECT_SETS];
  struct rf_select_function ruled = with_rules(s, first, aliases, sets);
  full.every_call |= ruled.set_count != 0;
  bool plain = !ruled.set_count && !full.flags && full.mode == RF_CLOCK_PERF_COUNTER;
  if (!plain && !(known && rf_sites[id].extra) && !rf_full_set(id, &full)) return "no memory";
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
                                     .branches = around ? &around->branches : NULL,
                                     .scarce = around ? around->scarce : NULL,
                                     .scarce_count = around ? around->count : 0};
  struct rf_patched patched;
  const char *reason = rf_patch_add(&request, &patched);
  *scarce = patched.scarce;
  if (reason) return reason;
  if (!(known ? come_back(id, first) : remember(s, first, aliases, size))) return "the recording is full";
  if (ruled.set_count) rf_full_set_checker(id, state.rules->make(id, s->module, &ruled));
  rf_sites[id].body = patched.body;
  state.count += !known;
  if (state.change) state.change->changed++;
  return NULL;
}

/* Candidates with one address. */
static size_t aliases_at(const struct sweep *s, size_t index) {
  size_t next = index + 1;
  while (next < s->candidate_count && s->candidates[next].address == s->candidates[index].address) next++;
  return next - index;
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
  bool listed = look_around(s, scarce, count, &around), ignored;
  for (size_t i = 0; i < count; i++) {
    const struct candidate *first = &s->candidates[scarce[i]];
    const char *reason = patch(s, first, aliases_at(s, scarce[i]), listed ? &around : NULL, &ignored);
    if (reason) record_skipped(s->module, first->name, reason);
  }
  if (listed) rf_branch_list_free(&around.branches);
  rf_free(around.scarce);
}

static void patch_candidates(struct sweep *s) {
  bool analysed = find_branches(s);
  size_t *scarce = rf_calloc(s->candidate_count, sizeof *scarce), scarce_count = 0;
  if (state.rules) prepare_rules(s);
  uint64_t mask = take_ids();
  for (size_t i = 0, count; i < s->candidate_count; i += count) {
    const struct candidate *first = &s->candidates[i];
    bool worth_more = false;
    count = aliases_at(s, i);
    const char *reason =
        analysed ? patch(s, first, count, NULL, &worth_more) : "no memory to analyse its module";
    if (reason && worth_more && scarce && s->quiet)
      scarce[scarce_count++] = i;
    else if (reason)
      record_skipped(s->module, first->name, reason);
  }
  if (scarce_count) patch_scarce(s, scarce, scarce_count);
  give_ids(mask);
  rf_free(scarce);
}

static void drop_candidate(struct sweep *s, size_t index) {
  rf_free(s->candidates[index].name);
  s->candidates[index] = s->candidates[--s->candidate_count];
}

static void await_relocation(struct sweep *s, rf_ref skipped) {
  struct waiting_ifunc *list =
      grow(state.waiting, state.waiting_count, &state.waiting_capacity, sizeof *list);
  if (!list) return;
  state.waiting = list;
  list[state.waiting_count++] = (struct waiting_ifunc){s->module->load_address, skipped};
  s->waiting = true;
}

/* Those that stood in skipped[] for want of relocation are looked at now, or their library is gone. */
static void end_waiting(uintptr_t load_address, bool timed) {
  for (size_t i = 0; i < state.waiting_count; i++) {
    if (state.waiting[i].load_address != load_address) continue;
    struct rf_skipped_entry *entry = timed ? rf_recording_at(state.waiting[i].skipped) : NULL;
    if (entry) entry->name = 0;
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
    rf_ref skipped = record_skipped(s->module, candidate->name, reason);
    if (!refused && !s->relocated) await_relocation(s, skipped);
    drop_candidate(s, i--);
  }
}

/* ---- modules that come and go ---- */

static struct seen_module *seen_as(const struct rf_module *module) {
  for (size_t i = 0; i < state.seen_count; i++)
    if (state.seen[i].load_address == module->load_address && !strcmp(state.seen[i].path, module->path))
      return &state.seen[i];
  return NULL;
}

static bool mark_present(void *user, const struct rf_module *module) {
  (void)user;
  struct seen_module *seen = seen_as(module);
  if (seen) {
    seen->sweep = state.sweep;
    return true;
  }
  struct seen_module *grown = grow(state.seen, state.seen_count, &state.seen_capacity, sizeof *grown);
  char *path = grown ? rf_strdup(module->path) : NULL;
  if (!path) return true;
  state.seen = grown;
  grown[state.seen_count++] = (struct seen_module){.load_address = module->load_address,
                                                   .text_start = module->text_start,
                                                   .text_end = module->text_end,
                                                   .path = path,
                                                   .first_sweep = state.sweep,
                                                   .sweep = state.sweep};
  return true;
}

static void forget_functions(const struct seen_module *module) {
  for (uint32_t id = 0; id < state.count; id++) {
    struct rf_traced *traced = &state.traced[id];
    if (!traced->address || traced->address - traced->offset != module->load_address ||
        strcmp(traced->path, module->path) != 0)
      continue;
    traced->address = 0;
    state.unloaded++;
    set_gone(traced, traced->gone | RF_FUNCTION_UNLOADED);
    rf_patch_forget(id);
  }
  rf_patch_forget_code(module->text_start, module->text_end);
  end_waiting(module->load_address, false);
}

/* Closed libraries: the same one, or another, may come to their addresses, unpatched. */
static void forget_closed(void) {
  for (size_t i = 0; i < state.seen_count; i++) {
    if (state.seen[i].sweep == state.sweep) continue;
    forget_functions(&state.seen[i]);
    rf_free(state.seen[i].path);
    state.seen[i--] = state.seen[--state.seen_count];
  }
}

/* Before what is new is patched: code at an address that was another module's is not taken for that. */
static void meet_modules(void) {
  state.sweep++;
  rf_modules_visit(mark_present, NULL);
  uint64_t mask = take_ids();
  forget_closed();
  give_ids(mask);
}

static void free_sweep(struct sweep *s) {
  for (size_t i = 0; i < s->candidate_count; i++) rf_free(s->candidates[i].name);
  rf_free(s->candidates);
  rf_free(s->extents);
  rf_free(s->entered);
}

static bool is_wanted(const struct rf_module *module) {
  if (rf_pattern_wants_module(state.wanted, module->name)) return true;
  for (size_t i = 0; i < state.command_count; i++)
    if (state.commands[i].add && rf_pattern_wants_module(state.commands[i].set, module->name)) return true;
  return false;
}

static void sweep_symbols(struct sweep *s, struct seen_module *seen) {
  rf_symbols_visit(s->module, collect_symbol, s, NULL);
  if (s->candidate_count) {
    resolve_indirect(s);
    seen->waiting = s->waiting;
    sort(s->extents, s->extent_count, sizeof *s->extents, by_address);
    sort(s->candidates, s->candidate_count, sizeof *s->candidates, by_address_and_name);
    if (s->candidate_count) patch_candidates(s);
  }
  free_sweep(s);
}

/* A module is looked at once, and its IFUNCs again by the next sweep: the loader has relocated it by then. */
static bool sweep_module(void *user, const struct rf_module *module) {
  struct seen_module *seen = seen_as(module);
  if (!seen || (seen->swept && !seen->waiting)) return true;
  struct sweep s = {.module = module,
                    .relocated = *(bool *)user || seen->first_sweep != state.sweep,
                    .waiting = seen->waiting,
                    .quiet = !seen->swept};
  if (seen->waiting) end_waiting(module->load_address, true);
  seen->waiting = false;
  seen->swept = true;
  if (is_wanted(module)) sweep_symbols(&s, seen);
  return true;
}

static void write_failed(void *user, uint32_t id, const char *reason) {
  (void)user;
  rf_log_once(RF_LOG_WARN, "function %u and perhaps others stay untimed: %s", id, reason);
}

/* ---- patterns without a hit ---- */

static bool feed_symbol(void *user, const struct rf_symbol *symbol) {
  rf_nearest_search_feed(user, symbol->name);
  return true;
}

static bool feed_module(void *user, const struct rf_module *module) {
  rf_symbols_visit(module, feed_symbol, user, NULL);
  return true;
}

/* The near names of several patterns are looked for together: visiting the symbols costs more than comparing
 * most of them. NULLs are left out. */
static void look_for_near_names(struct rf_nearest_names *const *names, size_t count) {
  struct rf_nearest_search *search = rf_nearest_search_new(names, count);
  if (search) rf_modules_visit(feed_module, search);
  rf_nearest_search_free(search);
}

static rf_ref record_unmatched(const char *pattern, struct rf_nearest_names *names) {
  rf_ref *root = rf_recording_root(RF_TABLE_UNMATCHED);
  struct rf_unmatched_entry *entry = rf_table_append(root, RF_TABLE_UNMATCHED, sizeof *entry, PER_CHUNK);
  if (!entry) return 0;
  if (names) entry->nearest = rf_recording_text(rf_nearest_names_result(names));
  entry->reason = rf_recording_text("no function of a loaded module has a name like this");
  entry->pattern = rf_recording_text(pattern);
  rf_table_publish(*root);
  return rf_recording_ref(entry);
}

static void withdraw_unmatched(rf_ref *unmatched) {
  struct rf_unmatched_entry *entry = rf_recording_at(*unmatched);
  if (entry) entry->pattern = 0;
  *unmatched = 0;
}

static bool newly_unmatched(size_t index) { return !state.hits[index] && !state.unmatched[index]; }

static void record_all_unmatched(size_t count) {
  struct rf_nearest_names **names =
      rf_calloc(count, sizeof *names); /* by pattern; NULL: matched, or recorded */
  for (size_t i = 0; names && i < count; i++)
    if (newly_unmatched(i)) names[i] = rf_nearest_names_new(rf_pattern_text(state.wanted, i));
  if (names) look_for_near_names(names, count);
  for (size_t i = 0; i < count; i++) {
    struct rf_nearest_names *near = names ? names[i] : NULL;
    if (newly_unmatched(i)) state.unmatched[i] = record_unmatched(rf_pattern_text(state.wanted, i), near);
    if (near) rf_nearest_names_free(near);
  }
  rf_free(names);
}

/* Unmatched patterns stand in the recording from the start; one that a later library matches is taken out
 * again. */
static void update_unmatched(void) {
  size_t count = rf_pattern_count(state.wanted), fresh = 0;
  for (size_t i = 0; i < count; i++) {
    if (state.hits[i]) withdraw_unmatched(&state.unmatched[i]);
    fresh += newly_unmatched(i);
  }
  for (size_t i = 0; i < state.command_count; i++)
    if (state.commands[i].hits) withdraw_unmatched(&state.commands[i].unmatched);
  if (fresh) record_all_unmatched(count);
}

/* Countdowns cost every thread 8 bytes each, so there are not many more than functions found at the start;
 * what comes later than that is timed at every call. */
static void settle_countdowns(void) {
  static bool settled;
  if (settled || !rf_pace_active()) return;
  settled = true;
  rf_countdowns_settle(state.count + (state.count / 4 > 2048 ? state.count / 4 : 2048));
}

/* A fresh table each time: threads may be reading the one before, which therefore stays. */
/* Tables take turns, since threads may still be reading an earlier one. What is outgrown stays, each twice
 * the one before. */
static struct rf_code_range *room_for_callers(void) {
  enum { TURNS = 8 };
  static struct rf_code_range *tables[TURNS];
  static size_t capacity[TURNS];
  static unsigned turn;
  turn = (turn + 1) % TURNS;
  if (state.count <= capacity[turn]) return tables[turn];
  size_t wanted = capacity[turn] ? capacity[turn] * 2 : 128;
  while (wanted < state.count) wanted *= 2;
  struct rf_code_range *fresh = rf_pages(wanted * sizeof *fresh);
  if (!fresh) return NULL;
  capacity[turn] = wanted;
  return tables[turn] = fresh;
}

static void publish_callers(void) {
  if (!rf_pace_active() || !state.count) return;
  struct rf_code_range *ranges = room_for_callers();
  if (!ranges) return;
  size_t count = 0;
  for (uint32_t i = 0; i < state.count; i++)
    if (state.traced[i].address)
      ranges[count++] =
          (struct rf_code_range){state.traced[i].address, state.traced[i].address + state.traced[i].size, i};
  sort(ranges, count, sizeof *ranges, by_address);
  rf_callers_publish(ranges, count);
}

static void publish(void) {
  uint64_t mask = take_ids();
  rf_calls_set_function_count(state.count);
  publish_callers();
  settle_countdowns();
  give_ids(mask);
}

void rf_select_sweep(bool relocated) {
  meet_modules();
  if (!rf_pattern_count(state.wanted) && !state.command_count) return;
  const char *problem = rf_patch_open();
  if (problem) {
    rf_record_unavailable("functions", problem);
    rf_log_once(RF_LOG_WARN, "no function is timed: %s", problem);
    return;
  }
  rf_modules_visit(look_for_collector, NULL);
  rf_modules_visit(sweep_module, &relocated);
  publish();
  if (!state.dry) rf_patch_commit(write_failed, NULL);
  rf_patch_close();
  update_unmatched();
}

/* ---- changes while the process runs ---- */

static bool change_module(void *user, const struct rf_module *module) {
  struct command *command = user;
  struct seen_module *seen = seen_as(module);
  if (!seen || !rf_pattern_wants_module(command->set, module->name)) return true;
  /* The newest may be in the loader's hands still. */
  struct sweep s = {.module = module,
                    .relocated = seen->first_sweep == 1 || seen->first_sweep + 1 < state.sweep,
                    .quiet = true, /* the tool stops all threads */
                    .only = command->set};
  bool waiting = seen->waiting;
  sweep_symbols(&s, seen);
  seen->waiting |= waiting;
  return true;
}

static bool is_text(const struct command *command, const char *pattern) {
  return !strcmp(rf_pattern_text(command->set, 0), pattern);
}

/* In the place of an earlier one with the same pattern. */
static struct command *new_command(bool add, const char *pattern, char *error, size_t error_bytes) {
  struct command fresh = {.set = rf_pattern_set_new(), .add = add};
  if (!fresh.set || rf_pattern_add(fresh.set, pattern, error, error_bytes) < 0) {
    if (fresh.set) rf_pattern_set_free(fresh.set);
    return NULL;
  }
  for (size_t i = 0; i < state.command_count; i++) {
    if (!is_text(&state.commands[i], pattern)) continue;
    fresh.unmatched = state.commands[i].unmatched;
    rf_pattern_set_free(state.commands[i].set);
    memmove(&state.commands[i], &state.commands[i + 1], (state.command_count - i - 1) * sizeof fresh);
    state.command_count--;
    break;
  }
  struct command *list = grow(state.commands, state.command_count, &state.command_capacity, sizeof *list);
  if (!list) return NULL;
  state.commands = list;
  list[state.command_count] = fresh;
  return &list[state.command_count++];
}

static void tell_unmatched(struct command *command, struct rf_select_change *change) {
  const char *pattern = rf_pattern_text(command->set, 0);
  struct rf_nearest_names *names = rf_nearest_names_new(pattern);
  if (!names) return;
  look_for_near_names(&names, 1);
  strncpy(change->nearest, rf_nearest_names_result(names), sizeof change->nearest - 1);
  if (!command->unmatched) command->unmatched = record_unmatched(pattern, names);
  rf_nearest_names_free(names);
}

static void add_functions(struct command *command, struct rf_select_change *change) {
  rf_modules_visit(look_for_collector, NULL);
  rf_modules_visit(change_module, command);
  if (!command->hits)
    tell_unmatched(command, change);
  else
    withdraw_unmatched(&command->unmatched);
}

static bool has_name(struct rf_pattern_set *set, const struct rf_traced *traced) {
  if (rf_pattern_match(set, traced->module, traced->name) >= 0) return true;
  for (const char *name = traced->aliases; name && *name;) {
    char one[NAME_BYTES];
    size_t length = strcspn(name, "\n");
    if (length < sizeof one) {
      memcpy(one, name, length);
      one[length] = '\0';
      if (rf_pattern_match(set, traced->module, one) >= 0) return true;
    }
    name += length + (name[length] == '\n');
  }
  return false;
}

static void remove_functions(struct command *command, struct rf_select_change *change) {
  for (uint32_t id = 0; id < state.count; id++) {
    struct rf_traced *traced = &state.traced[id];
    if (!traced->address || !has_name(command->set, traced)) continue;
    command->hits++;
    if (traced->gone) {
      change->unchanged++;
      continue;
    }
    set_gone(traced, RF_FUNCTION_REMOVED);
    rf_patch_restore(id);
    change->changed++;
  }
}

const char *rf_select_change(bool add, const char *pattern, struct rf_select_change *change) {
  static char error[512];
  const char *problem = state.process_refusal ? state.process_refusal : rf_patch_open();
  if (problem) return problem;
  struct command *command = new_command(add, pattern, error, sizeof error);
  if (command) {
    rf_full_start();
    meet_modules();
    state.change = change;
    (add ? add_functions : remove_functions)(command, change);
    state.change = NULL;
    publish();
    change->edits = rf_patch_export(&change->edit_count);
    if (state.process_refusal) problem = state.process_refusal;
  }
  rf_patch_close();
  return command ? problem : error;
}

/* ---- named blocks: ids without code ---- */

static uint32_t named_before(const char *name) {
  for (uint32_t i = 0; i < state.count; i++)
    if (state.traced[i].path == block_module && !strcmp(state.traced[i].name, name)) return i;
  return UINT32_MAX;
}

static uint32_t add_named(const char *name) {
  uint32_t id = named_before(name);
  if (id != UINT32_MAX) return id;
  if (!rf_sites) rf_sites = rf_pages(RF_MOST_FUNCTIONS * sizeof *rf_sites);
  struct rf_traced *list = grow(state.traced, state.count, &state.traced_capacity, sizeof *list);
  if (!list || !rf_sites || state.count >= RF_MOST_FUNCTIONS) return UINT32_MAX;
  state.traced = list;
  list[state.count] = (struct rf_traced){
      .name = rf_strdup(name), .path = block_module, .module = block_module, .full.flags = RF_FUNCTION_BLOCK};
  if (!list[state.count].name || !record_function(&list[state.count])) return UINT32_MAX;
  rf_calls_set_function_count(++state.count);
  return state.count - 1;
}

uint32_t rf_select_add_named(const char *name) {
  uint64_t mask = take_ids();
  uint32_t id = add_named(name);
  give_ids(mask);
  return id;
}

void rf_select_record_again(void) {
  ids = (struct rf_lock){0}; /* whoever held it is not in the child */
  for (uint32_t i = 0; i < state.count; i++) record_function(&state.traced[i]);
}
