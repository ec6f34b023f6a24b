/* See wishes.h. */
#include "trace/wishes.h"

#include <string.h>

#include "base/grow.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/value.h"
#include "trace/pace.h"
#include "trace/traced.h"
#include "trace/unmatched.h"

#define NAME_BYTES 4096

static struct {
  struct rf_pattern_set *wanted, *excluded;
  uint32_t *hits;         /* by pattern */
  struct rf_full *wishes; /* by pattern: settings of single functions */
  struct rf_full everywhere;
  const struct rf_select_rules *rules;
  uint16_t *set_of;  /* by pattern: its set of rules + 1; 0: none */
  rf_ref *unmatched; /* by pattern: its entry in unmatched[], while it stands there */
  struct rf_command *commands;
  size_t command_count, command_capacity;
} state;

const struct rf_select_rules *rf_wishes_rules(void) { return state.rules; }

/* ---- reading them ---- */

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

/* Ratios are above 0 where they are not "off": the configuration has seen to that. */
static void read_budget(const char *value, struct rf_full *wish) {
  double ratio = 0, share;
  if (!rf_value_ratio(value, &ratio)) return;
  share = ratio * RF_PACE_ONE;
  if (ratio < 0)
    wish->every_call = true;
  else
    wish->own_share = share > 1 ? (uint32_t)share : 1;
}

static void read_wish(const struct rf_function_setting *setting, struct rf_full *wish) {
  if (!strcmp(setting->key, "memory") && is_on(setting->value)) wish->flags |= RF_FUNCTION_HEAP;
  if (!strcmp(setting->key, "system") && is_on(setting->value)) wish->flags |= RF_FUNCTION_SYSTEM;
  if (!strcmp(setting->key, "mode")) wish->mode = mode_named(setting->value);
  if (!strcmp(setting->key, "budget")) read_budget(setting->value, wish);
  if (wish->flags) wish->every_call = true;
}

/* Where another setting has the function timed at every call. */
static void check_budget(const struct rf_function_setting *setting, size_t pattern) {
  const struct rf_full *wish = &state.wishes[pattern];
  if (strcmp(setting->key, "budget") != 0 || !wish->own_share || !(wish->flags || state.set_of[pattern]))
    return;
  rf_log(RF_LOG_WARN,
         "%s: functions.%s.budget: %s is not heeded: with %s of its own a function is timed at every call",
         setting->origin, setting->pattern, setting->value,
         wish->flags ? "memory or system" : "rules, keep or spans");
}

static void read_wishes(const struct rf_options *options) {
  const struct rf_function_setting *settings;
  size_t count = rf_option_functions(options, &settings), patterns = rf_pattern_count(state.wanted);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < patterns; k++)
      if (!strcmp(settings[i].pattern, rf_pattern_text(state.wanted, k)))
        read_wish(&settings[i], &state.wishes[k]);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < patterns; k++)
      if (!strcmp(settings[i].pattern, rf_pattern_text(state.wanted, k))) check_budget(&settings[i], k);
  if (rf_option_on(options, RF_OPT_HEAP_PER_FUNCTION)) state.everywhere.flags |= RF_FUNCTION_HEAP;
  if (rf_option_on(options, RF_OPT_SYSTEM_PER_FUNCTION)) state.everywhere.flags |= RF_FUNCTION_SYSTEM;
  state.everywhere.mode = (enum rf_clock_mode)rf_option_choice(options, RF_OPT_TIMING_MODE);
}

bool rf_wishes_read(const struct rf_select_plan *plan) {
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
  if (!state.hits || !state.wishes || !state.unmatched || !find_rule_sets()) return false;
  read_wishes(plan->options);
  return patterns != 0;
}

uint32_t rf_wishes_highest_share(void) {
  uint32_t highest = 0;
  for (size_t i = 0; state.wishes && i < rf_pattern_count(state.wanted); i++)
    if (state.wishes[i].own_share > highest) highest = state.wishes[i].own_share;
  return highest;
}

bool rf_wishes_any(void) { return rf_pattern_count(state.wanted) || state.command_count; }

bool rf_wishes_want_module(const char *module) {
  if (rf_pattern_wants_module(state.wanted, module)) return true;
  for (size_t i = 0; i < state.command_count; i++)
    if (state.commands[i].add && rf_pattern_wants_module(state.commands[i].set, module)) return true;
  return false;
}

/* ---- asking them ---- */

void rf_wishes_add_set(uint16_t *sets, uint16_t *count, uint16_t set) {
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
  struct rf_choice *choice = user;
  const struct rf_full *wish = &state.wishes[index];
  choice->hit = true;
  choice->full.flags |= wish->flags;
  choice->full.every_call |= wish->every_call;
  if (!choice->full.mode) choice->full.mode = wish->mode;
  if (!choice->full.own_share) choice->full.own_share = wish->own_share;
  if (state.set_of[index])
    rf_wishes_add_set(choice->sets, &choice->set_count, (uint16_t)(state.set_of[index] - 1));
  state.hits[index]++;
}

bool rf_wishes_choose(const char *module, const char *name, struct rf_choice *choice) {
  *choice = (struct rf_choice){0};
  rf_pattern_match_all(state.wanted, module, name, note_hit, choice);
  choice->full.flags |= state.everywhere.flags;
  if (!choice->full.mode) choice->full.mode = state.everywhere.mode;
  bool wanted = choice->hit && rf_pattern_match(state.excluded, module, name) < 0;
  for (size_t i = 0; i < state.command_count; i++) {
    struct rf_command *command = &state.commands[i];
    if (rf_pattern_match(command->set, module, name) < 0) continue;
    wanted = command->add;
    command->hits++;
  }
  return wanted;
}

/* ---- commands ---- */

static bool is_text(const struct rf_command *command, const char *pattern) {
  return !strcmp(rf_pattern_text(command->set, 0), pattern);
}

struct rf_command *rf_wishes_command(bool add, const char *pattern, char *error, size_t error_bytes) {
  struct rf_command fresh = {.set = rf_pattern_set_new(), .add = add};
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
  struct rf_command *list =
      rf_grow(state.commands, state.command_count, &state.command_capacity, sizeof *list);
  if (!list) return NULL;
  state.commands = list;
  list[state.command_count] = fresh;
  return &list[state.command_count++];
}

void rf_wishes_tell_unmatched(struct rf_command *command, char *nearest, size_t bytes) {
  const char *pattern = rf_pattern_text(command->set, 0);
  struct rf_nearest_names *names = rf_nearest_names_new(pattern);
  if (!names) return;
  rf_unmatched_look(&names, 1);
  strncpy(nearest, rf_nearest_names_result(names), bytes - 1);
  nearest[bytes - 1] = '\0';
  if (!command->unmatched) command->unmatched = rf_unmatched_record(pattern, names);
  rf_nearest_names_free(names);
}

bool rf_wishes_name(struct rf_pattern_set *set, const struct rf_traced *traced) {
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

/* ---- patterns without a hit ---- */

static bool newly_unmatched(size_t index) { return !state.hits[index] && !state.unmatched[index]; }

static void record_all_unmatched(size_t count) {
  struct rf_nearest_names **names =
      rf_calloc(count, sizeof *names); /* by pattern; NULL: matched, or recorded */
  for (size_t i = 0; names && i < count; i++)
    if (newly_unmatched(i)) names[i] = rf_nearest_names_new(rf_pattern_text(state.wanted, i));
  if (names) rf_unmatched_look(names, count);
  for (size_t i = 0; i < count; i++) {
    struct rf_nearest_names *near = names ? names[i] : NULL;
    if (newly_unmatched(i)) state.unmatched[i] = rf_unmatched_record(rf_pattern_text(state.wanted, i), near);
    if (near) rf_nearest_names_free(near);
  }
  rf_free(names);
}

void rf_wishes_update_unmatched(void) {
  size_t count = rf_pattern_count(state.wanted), fresh = 0;
  for (size_t i = 0; i < count; i++) {
    if (state.hits[i]) rf_unmatched_withdraw(&state.unmatched[i]);
    fresh += newly_unmatched(i);
  }
  for (size_t i = 0; i < state.command_count; i++)
    if (state.commands[i].hits) rf_unmatched_withdraw(&state.commands[i].unmatched);
  if (fresh) record_all_unmatched(count);
}
