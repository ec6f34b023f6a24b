/* See validate.h. Everything here happens at start or when a library is opened, before its functions are
 * patched. */
#include "validate/validate.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "elf/module.h"
#include "elf/pattern.h"
#include "recording/writer.h"
#include "trace/probe.h"
#include "validate/checker.h"
#include "validate/cost.h"
#include "validate/settings.h"
#include "validate/validators.h"

#define ERROR_BYTES 500
#define PER_CHUNK 32
#define STACK_WORDS 8

struct listed {
  struct rf_checker *checker;
  const char *argument_names;
  struct listed *next;
};

static struct {
  struct rf_validate_plan plan;
  struct rf_rule_sets sets;
  struct rf_select_rules rules;
  struct rf_pool pool; /* what lives as long as the process */
  struct listed *checkers;
  struct rf_descriptions descriptions; /* of the module that was prepared last */
  bool described;
} state;

static void log_complaint(void *user, const char *message) {
  (void)user;
  rf_log(RF_LOG_ERROR, "%s", message);
}

/* ---- start ---- */

static void make_spans(void) {
  for (size_t i = 0; i < state.sets.spans; i++)
    if (state.sets.span[i]->point[0].span) state.sets.span[i]->span = rf_span_new(&state.sets.span[i]->plan);
}

static bool looks_at_calls(const struct rf_rule_set *set) {
  return set->rules || set->points || set->keep_ns;
}

static bool carries_something(const struct rf_rule_set *set) { return looks_at_calls(set) || set->after; }

static void prepare(const struct rf_module *module, const struct rf_select_function *functions, size_t count);
static const void *make(uint32_t id, const struct rf_module *module,
                        const struct rf_select_function *function);

const struct rf_select_rules *rf_validate_start(const struct rf_validate_plan *plan) {
  state.plan = *plan;
  state.sets.complain = log_complaint;
  rf_rule_sets_read(&state.sets, plan->options);
  rf_violation_set_abort(plan->end_process);
  const char **patterns = rf_pool_take(&state.pool, (state.sets.sets + 1) * 2 * sizeof *patterns);
  bool any = false;
  if (!patterns) return NULL;
  for (size_t i = 0; i < state.sets.sets; i++) {
    patterns[i] = state.sets.set[i].pattern;
    patterns[state.sets.sets + i] = state.sets.set[i].origin;
    any = any || carries_something(&state.sets.set[i]);
  }
  make_spans();
  rf_passed_over_start();
  state.rules =
      (struct rf_select_rules){patterns, patterns + state.sets.sets, state.sets.sets, prepare, make};
  return any ? &state.rules : NULL;
}

/* ---- what it costs ---- */

struct rf_rules_cost rf_rules_cost;

static uint32_t beyond(uint32_t whole, uint32_t known) { return whole > known ? whole - known : 0; }

void rf_validate_measure(uint32_t plain) {
  const struct rf_checker on_entry = {.function = ""}, on_return = {.function = "", .needs_return = true};
  struct rf_probe_checked entry = rf_probe_measure_checked(&on_entry),
                          both = rf_probe_measure_checked(&on_return);
  rf_rules_cost.enter = beyond(entry.whole, plain + entry.noted);
  rf_rules_cost.leave = beyond(both.whole, plain + rf_rules_cost.enter + both.noted);
}

/* ---- types ---- */

static struct rf_rule_set *set_at(const struct rf_select_function *function, size_t i) {
  return &state.sets.set[function->sets[i]];
}

static const struct rf_rule_set *set_with_signature(const struct rf_select_function *function) {
  for (size_t i = 0; i < function->set_count; i++)
    if (set_at(function, i)->signature) return set_at(function, i);
  return NULL;
}

/* Whether rules on the function need types at all: spans with arg1 do without. */
static bool needs_types(const struct rf_select_function *function) {
  if (set_with_signature(function)) return false;
  for (size_t i = 0; i < function->set_count; i++)
    if (looks_at_calls(set_at(function, i))) return true;
  return false;
}

/* Asks the tool for all functions of a module at once. */
static void prepare(const struct rf_module *module, const struct rf_select_function *functions,
                    size_t count) {
  const char **requests = rf_calloc(count + 1, sizeof *requests);
  size_t wanted = 0, length = 0;
  char *text = NULL;
  state.described = false;
  for (size_t i = 0; requests && i < count; i++) {
    if (!needs_types(&functions[i])) continue;
    char *request = rf_asprintf("%llx:%s", (unsigned long long)functions[i].offset, functions[i].name);
    if (request) requests[wanted++] = request;
  }
  if (wanted && state.plan.describe && state.plan.describe(module->path, requests, wanted, &text, &length))
    state.described = rf_descriptions_parse(text, length, &state.pool, &state.descriptions);
  rf_free(text);
  for (size_t i = 0; i < wanted; i++) rf_free((void *)requests[i]);
  rf_free(requests);
}

static const struct rf_description *description_of(uint64_t offset) {
  for (size_t i = 0; state.described && i < state.descriptions.count; i++)
    if (state.descriptions.description[i].offset == offset) return &state.descriptions.description[i];
  return NULL;
}

static const struct rf_signature *parse_signature(struct rf_rule_set *set) {
  char error[ERROR_BYTES], key[300];
  struct rf_signature *signature = rf_pool_take(&state.pool, sizeof *signature);
  if (!signature || rf_signature_parse(set->signature, &state.pool, signature, error, sizeof error))
    return signature;
  snprintf(key, sizeof key, "functions.%.200s.signature", set->pattern);
  if (!set->signature_complained) rf_rule_sets_complain(&state.sets, set->signature_origin, key, "%s", error);
  set->signature_complained = true;
  return NULL;
}

static bool is_clone(const char *name) { return name[rf_symbol_base_length(name)] != '\0'; }

/* *why: what to say where there is none, NULL where all was said. */
static const struct rf_signature *signature_of(const struct rf_select_function *function, const char **why) {
  struct rf_rule_set *set = (struct rf_rule_set *)set_with_signature(function);
  *why = NULL;
  if (set && is_clone(function->name)) {
    *why = "it is a clone, whose parameters the compiler may have moved; without debug information nobody "
           "knows where to";
    return NULL;
  }
  if (set) return parse_signature(set);
  const struct rf_description *description = description_of(function->offset);
  if (description && !description->problem) return &description->signature;
  *why = description ? description->problem : "no debug information was found";
  return NULL;
}

/* ---- compiling ---- */

struct making {
  const struct rf_select_function *function;
  struct rf_compiler compiler;
  struct rf_checks checks;
  struct rf_checker *checker;
  const char *why_untyped;
  char error[ERROR_BYTES];
};

static void refuse(struct making *m, bool *complained, const char *origin, const char *key) {
  const char *why = m->compiler.signature ? NULL : m->why_untyped;
  if (!*complained)
    rf_rule_sets_complain(&state.sets, origin, key, "%s: %s%s%s%s", m->function->name, m->error,
                          why ? " (" : "", why ? why : "", why ? ")" : "");
  *complained = true;
}

static void compile_rules(struct making *m, struct rf_rule_set *set) {
  for (size_t i = 0; i < set->rules; i++) {
    struct rf_rule_setting *setting = &set->rule[i];
    if (rf_compile_rules(&m->compiler, setting->key, &setting->rules, &m->checks)) continue;
    refuse(m, m->compiler.signature ? &setting->complained : &set->types_complained, setting->origin,
           setting->full_key);
  }
}

static bool compile_point(struct making *m, const struct rf_span_end_setting *setting,
                          struct rf_span_point *point) {
  *point = (struct rf_span_point){setting->span->span, setting->begin, setting->on_return,
                                  setting->has_condition, .key = {.size = 0}};
  m->error[0] = '\0';
  if (!rf_compile_scalar(&m->compiler, &setting->key, &point->key)) return false;
  if (setting->has_condition && !rf_compile_condition(&m->compiler, &setting->condition, &point->condition))
    return false;
  bool result = point->key.at.start >= RF_SAVED_RAX && point->key.at.base == RF_PLACE_SAVED;
  bool judged = setting->has_condition && point->condition.subject.at.base == RF_PLACE_SAVED &&
                point->condition.subject.at.start >= RF_SAVED_RAX;
  if ((result || judged) && !setting->on_return)
    point->on_return = true; /* the result is known on return only */
  return true;
}

static void compile_points(struct making *m, struct rf_rule_set *set) {
  for (size_t i = 0; i < set->points; i++) {
    struct rf_span_end_setting *setting = set->point[i];
    struct rf_checker *checker = m->checker;
    if (!setting->span->span) continue;
    if (!compile_point(m, setting, &checker->points[checker->point_count]))
      refuse(m, &setting->complained, setting->origin, setting->full_key);
    else
      checker->point_count++;
  }
}

static void compile_reaction(struct making *m, struct rf_rule_set *set) {
  char key[300];
  if (!set->has_reaction) return;
  m->error[0] = '\0';
  m->checker->reaction = set->reaction.reaction;
  bool good = true;
  if (set->reaction.reaction == RF_REACT_RETURN)
    good = rf_compile_substitute(&m->compiler, &set->reaction, &m->checker->substitute);
  if (set->reaction.reaction == RF_REACT_CALL) {
    m->checker->callback = (rf_violation_callback *)rf_plugin_find(
        set->reaction.plugin, set->reaction.function, m->error, sizeof m->error);
    good = m->checker->callback != NULL;
  }
  if (good) return;
  m->checker->reaction = RF_REACT_REPORT;
  snprintf(key, sizeof key, "functions.%.200s.on_violation", set->pattern);
  refuse(m, &set->reaction_complained, set->reaction_origin, key);
}

/* Arguments that a kept call shows: those that are numbers or pointers, by value. */
static const char *compile_keep(struct making *m) {
  struct rf_keep *keep = &m->checker->keep;
  const struct rf_signature *s = m->compiler.signature;
  const char *names = "";
  for (size_t i = 0; i < (s ? s->parameters : 6) && keep->arguments < RF_KEPT_ARGUMENTS; i++) {
    char name[32];
    snprintf(name, sizeof name, "arg%zu", i + 1);
    struct rf_path path = {.root = name};
    const char *shown = s && s->parameter[i].name[0] ? s->parameter[i].name : name;
    m->error[0] = '\0';
    if (!rf_compile_scalar(&m->compiler, &path, &keep->argument[keep->arguments])) continue;
    names = rf_pool_join(&state.pool, names, keep->arguments ? "\n" : "", shown);
    keep->arguments++;
  }
  return names;
}

/* Checks on entry first, those on return behind; each keeps its order. */
static bool divide_checks(struct making *m) {
  struct rf_check *all = rf_pool_take(&state.pool, (m->checks.count + 1) * sizeof *all);
  struct rf_checker *checker = m->checker;
  if (!all) return false;
  size_t used = 0;
  for (int on_return = 0; on_return < 2; on_return++)
    for (size_t i = 0; i < m->checks.count; i++)
      if (m->checks.check[i].on_return == on_return) all[used++] = m->checks.check[i];
  for (size_t i = 0; i < used; i++) checker->entry_count += !all[i].on_return;
  checker->return_count = (uint32_t)used - checker->entry_count;
  checker->on_entry = all;
  checker->on_return = all + checker->entry_count;
  return true;
}

static uint8_t words_of(const struct rf_locator *at) {
  return at->base == RF_PLACE_STACK && at->start >= 0 && at->start < 8 * STACK_WORDS
             ? (uint8_t)(at->start / 8 + 2)
             : 0;
}

/* How many words of stack arguments later looks need; the callee may have changed them by then. */
static void find_stack_words(struct rf_checker *checker) {
  uint8_t words = 0;
  for (uint32_t i = 0; i < checker->return_count; i++) {
    const struct rf_check *check = &checker->on_return[i];
    uint8_t all[] = {words_of(&check->subject.at), words_of(&check->length.scalar[0].at),
                     words_of(&check->other.scalar[0].at)};
    for (size_t k = 0; k < sizeof all; k++) words = all[k] > words ? all[k] : words;
  }
  for (uint32_t i = 0; i < checker->point_count; i++)
    if (checker->points[i].on_return && words_of(&checker->points[i].key.at) > words)
      words = words_of(&checker->points[i].key.at);
  for (uint32_t i = 0; i < checker->keep.arguments; i++)
    if (words_of(&checker->keep.argument[i].at) > words) words = words_of(&checker->keep.argument[i].at);
  checker->stack_words = words > STACK_WORDS ? STACK_WORDS : words;
}

/* ---- recording ---- */

static void record_check(const struct rf_checker *checker, struct rf_check *check) {
  rf_ref *root = rf_recording_root(RF_TABLE_VIOLATION);
  struct rf_violation_entry *entry = rf_table_append(root, RF_TABLE_VIOLATION, sizeof *entry, PER_CHUNK);
  check->entry = entry;
  if (!entry) return;
  entry->function = checker->id;
  entry->parameter = rf_recording_text(check->parameter);
  entry->rule = rf_recording_text(check->rule);
  rf_table_publish(*root);
}

static void record_keep(struct rf_checker *checker, const char *names) {
  rf_ref *root = rf_recording_root(RF_TABLE_KEPT);
  struct rf_kept_entry *entry = rf_table_append(root, RF_TABLE_KEPT, sizeof *entry, 8);
  checker->keep.entry = entry;
  if (!entry) return;
  entry->function = checker->id;
  entry->threshold = checker->keep.threshold;
  entry->names = rf_recording_text(names);
  rf_table_publish(*root);
}

static void record_checker(const struct listed *listed) {
  struct rf_checker *checker = listed->checker;
  for (uint32_t i = 0; i < checker->entry_count + checker->return_count; i++)
    record_check(checker, &checker->on_entry[i]);
  if (checker->keep.threshold) record_keep(checker, listed->argument_names);
}

void rf_validate_record_again(void) {
  rf_passed_over_start();
  for (const struct listed *listed = state.checkers; listed; listed = listed->next) record_checker(listed);
  rf_spans_record_again();
}

/* ---- a function ---- */

static void compile_all(struct making *m) {
  for (size_t i = 0; i < m->function->set_count; i++) {
    struct rf_rule_set *set = set_at(m->function, i);
    compile_rules(m, set);
    compile_points(m, set);
    compile_reaction(m, set);
    if (set->after > m->checker->after) m->checker->after = set->after;
    if (set->keep_ns)
      m->checker->keep.threshold = (uint64_t)((double)set->keep_ns * 1e-9 * state.plan.cycles_per_second);
  }
}

static bool returns_matter(const struct rf_checker *checker) {
  bool points = false;
  for (uint32_t i = 0; i < checker->point_count; i++) points = points || checker->points[i].on_return;
  return checker->return_count || points || checker->keep.threshold;
}

static size_t count_points(const struct rf_select_function *function) {
  size_t count = 1;
  for (size_t i = 0; i < function->set_count; i++) count += set_at(function, i)->points;
  return count;
}

static const void *make(uint32_t id, const struct rf_module *module,
                        const struct rf_select_function *function) {
  struct making m = {.function = function};
  (void)module;
  m.checker = rf_pool_take(&state.pool, sizeof *m.checker);
  struct listed *listed = rf_pool_take(&state.pool, sizeof *listed);
  if (!m.checker || !listed) return NULL;
  m.checker->id = id;
  m.checker->function = rf_pool_text(&state.pool, function->name);
  m.checker->points = rf_pool_take(&state.pool, count_points(function) * sizeof *m.checker->points);
  if (!m.checker->points) return NULL;
  m.compiler =
      (struct rf_compiler){&state.pool, signature_of(function, &m.why_untyped), m.error, sizeof m.error};
  compile_all(&m);
  listed->argument_names = m.checker->keep.threshold ? compile_keep(&m) : "";
  if (!divide_checks(&m)) return NULL;
  find_stack_words(m.checker);
  m.checker->needs_return = returns_matter(m.checker);
  if (!m.checks.count && !m.checker->point_count && !m.checker->keep.threshold && !m.checker->after)
    return NULL;
  listed->checker = m.checker;
  listed->next = state.checkers;
  state.checkers = listed;
  record_checker(listed);
  return m.checker;
}
