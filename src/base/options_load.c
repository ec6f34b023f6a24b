/*
 * Loading an option set. Every source writes with its level, and a value of a higher level stays:
 *
 *   defaults ─ preset ─ config file ─ environment ─ command line        lists: all of them, in this order
 *
 * Which preset it is may come from any of the sources, so it is applied when all of them have spoken, at its
 * own level.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/options_set.h"
#include "base/text.h"

#define LINE 600
#define NAMES_MAX 16  /* values of one choice */
#define ORIGINS_MAX 6 /* of a list, shown */

/* ---- complaints ---- */

static void cut(char *text, size_t room, int length) {
  if (length >= (int)room) memcpy(text + room - 4, "...", 4);
}

void rf_loader_complain(struct rf_loader *loader, const char *origin, const char *key, const char *format,
                        ...) {
  char problem[LINE], line[LINE * 2], safe[LINE * 2];
  va_list arguments;
  loader->errors++;
  if (!loader->complain) return;
  va_start(arguments, format);
  cut(problem, sizeof problem, vsnprintf(problem, sizeof problem, format, arguments));
  va_end(arguments);
  int length = snprintf(line, sizeof line, "%.300s: %.200s%s%s", origin, key, *key ? ": " : "", problem);
  cut(line, sizeof line, length);
  rf_text_visible(safe, sizeof safe, line, strlen(line));
  loader->complain(loader->user, safe);
}

void rf_loader_unknown(struct rf_loader *loader, const char *origin, const char *key, const char *name,
                       const char *const *names, size_t count) {
  const char *what = *key ? "key" : "option";
  const char *nearest = loader->complain ? rf_nearest(name, names, count) : NULL;
  if (nearest)
    rf_loader_complain(loader, origin, key, "there is no such %s; did you mean %s?", what, nearest);
  else
    rf_loader_complain(loader, origin, key, "there is no such %s ('refunc config' lists them)", what);
}

/* Splits a|b|c into copies. */
static size_t split_choices(struct rf_pool *pool, const char *choices, const char **names) {
  size_t count = 0;
  while (count < NAMES_MAX) {
    size_t length = strcspn(choices, "|");
    names[count] = rf_pool_slice(pool, choices, length);
    if (!names[count++] || !choices[length]) break;
    choices += length + 1;
  }
  return names[count - 1] ? count : count - 1;
}

void rf_loader_bad_value(struct rf_loader *loader, const char *origin, const char *key, const char *text,
                         const char *type, const char *expected) {
  const char *names[NAMES_MAX], *nearest = NULL;
  enum rf_value_kind kind = rf_value_kind(type);
  if (kind == RF_VALUE_ONOFF) type = "on|off";
  if (kind == RF_VALUE_AUTO) type = "auto|on|off";
  if (kind <= RF_VALUE_AUTO)
    nearest = rf_nearest(text, names, split_choices(&loader->options->pool, type, names));
  rf_loader_complain(loader, origin, key, "wants %s, not '%.100s'%s%s%s", expected, text,
                     nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* ---- values ---- */

/* A report or output pattern: only the escapes that exist. */
static bool good_pattern(const char *text) {
  for (const char *at = text; (at = strchr(at, '%')); at += 2)
    if (!at[1] || !strchr("ephrt%", at[1])) return false;
  return *text != 0;
}

static bool ends_with(const char *text, const char *end) {
  size_t length = strlen(text), n = strlen(end);
  return length > n && strcmp(text + length - n, end) == 0;
}

/* What a value must be beyond its type; NULL when it is. */
static const char *beyond_type(enum rf_option option, const char *text, const struct rf_value *value) {
  switch (option) {
  case RF_OPT_OUTPUT:
    return good_pattern(text) ? NULL
                              : "auto, none, or a pattern with no other escapes than %e %p %h %r %t %%";
  case RF_OPT_REPORT:
    if (strcmp(text, "stderr") == 0 || strcmp(text, "none") == 0) return NULL;
    return good_pattern(text) && (ends_with(text, ".txt") || ends_with(text, ".json"))
               ? NULL
               : "stderr, none, or a pattern ending in .txt or .json, with no other escapes than %e %p %h %r "
                 "%t %%";
  case RF_OPT_SYSTEM_INTERVAL: return value->ns >= 1000000 ? NULL : "at least 1ms";
  case RF_OPT_HEAP_SAMPLE_BYTES: return value->number > 0 ? NULL : "at least 1 byte";
  case RF_OPT_SYSTEM_RSS_ALERT: return value->number > 0 ? NULL : "at least 1 byte";
  case RF_OPT_HEAP_STACK_DEPTH:
    return value->number >= 1 && value->number <= 1024 ? NULL : "a number from 1 to 1024";
  default: return NULL;
  }
}

void rf_loader_assign(struct rf_loader *loader, enum rf_option option, const char *text, const char *origin,
                      enum rf_option_level level) {
  struct rf_option_value *target = &loader->options->values[option];
  const char *type = rf_option_values(option);
  struct rf_value value = {0};
  const char *expected = rf_value_parse(type, text, &value);
  if (!expected) expected = beyond_type(option, text, &value);
  if (expected) {
    rf_loader_bad_value(loader, origin, rf_option_short_key(option), text, type, expected);
    return;
  }
  if (level < target->level) return;
  const char *copy = rf_pool_text(&loader->options->pool, text),
             *from = rf_pool_text(&loader->options->pool, origin);
  if (!copy || !from) return;
  *target = (struct rf_option_value){.text = copy, .origin = from, .value = value, .level = level};
}

void rf_loader_add(struct rf_loader *loader, enum rf_option option, const char *text, size_t length,
                   const char *origin) {
  struct rf_option_list *list = &loader->options->lists[option];
  struct rf_pool *pool = &loader->options->pool;
  struct rf_option_item *items = rf_pool_grow(pool, list->items, list->count, &list->capacity, sizeof *items);
  const char *from = list->count && strcmp(list->items[list->count - 1].origin, origin) == 0
                         ? list->items[list->count - 1].origin
                         : rf_pool_text(pool, origin);
  char *copy = rf_pool_slice(pool, text, length);
  if (!items || !from || !copy) return;
  list->items = items;
  items[list->count++] = (struct rf_option_item){copy, from};
}

static const char *skip_blanks(const char *text) { return text + strspn(text, " \t"); }

/* One element of a comma-separated list, without blanks around it, \, turned into a comma; returns its
 * length. */
static size_t element(const char **at, char *out) {
  size_t length = 0;
  const char *from = skip_blanks(*at);
  for (; *from && *from != ','; from++) {
    if (from[0] == '\\' && from[1] == ',') from++;
    out[length++] = *from;
  }
  *at = *from ? from + 1 : from;
  while (length > 0 && (out[length - 1] == ' ' || out[length - 1] == '\t')) length--;
  return length;
}

static void add_all(struct rf_loader *loader, enum rf_option option, const char *text, const char *origin) {
  char *copy = rf_malloc(strlen(text) + 1);
  while (copy && *text) {
    size_t length = element(&text, copy);
    if (length > 0) rf_loader_add(loader, option, copy, length, origin);
  }
  rf_free(copy);
}

static void set_option(struct rf_loader *loader, enum rf_option option, const char *text, const char *origin,
                       enum rf_option_level level) {
  if (rf_value_kind(rf_option_values(option)) == RF_VALUE_LIST)
    add_all(loader, option, text, origin);
  else
    rf_loader_assign(loader, option, text, origin, level);
}

/* ---- sources ---- */

/* Defaults and presets are right by construction (a unit test says so). Some options have none: "". */
static void load_defaults(struct rf_loader *loader) {
  for (int i = 0; i < RF_OPTION_COUNT; i++) {
    enum rf_option option = (enum rf_option)i;
    loader->options->values[i] = (struct rf_option_value){.text = "", .origin = "default"};
    if (*rf_option_default(option))
      set_option(loader, option, rf_option_default(option), "default", RF_FROM_DEFAULT);
  }
}

static const enum rf_option preset_columns[] = {RF_OPT_TIMING_BUDGET,
                                                RF_OPT_HEAP_MODE,
                                                RF_OPT_HEAP_PER_FUNCTION,
                                                RF_OPT_SYSTEM_ENABLED,
                                                RF_OPT_SYSTEM_PER_FUNCTION,
                                                RF_OPT_TRACE_EDGES,
                                                RF_OPT_LOG};
#define PRESET_COLUMNS (sizeof preset_columns / sizeof *preset_columns)

/* By enum rf_preset. */
static const char *const presets[][PRESET_COLUMNS] = {
    {"5%", "counters", "off", "on", "off", "off", "warn"},
    {"1%", "counters", "off", "off", "off", "off", "warn"},
    {"5%", "sampled", "on", "on", "on", "on", "warn"},
    {"off", "exact", "on", "on", "on", "on", "debug"},
};

static void load_preset(struct rf_loader *loader) {
  int preset = rf_option_choice(loader->options, RF_OPT_PRESET);
  if (preset == RF_PRESET_DEFAULT) return;
  char origin[32];
  snprintf(origin, sizeof origin, "preset %s", rf_option_text(loader->options, RF_OPT_PRESET));
  for (size_t i = 0; i < PRESET_COLUMNS; i++)
    rf_loader_assign(loader, preset_columns[i], presets[preset][i], origin, RF_FROM_PRESET);
}

/* Who asks for leaks wants the blocks to be known. */
static void load_implied(struct rf_loader *loader) {
  const struct rf_option_value *mode = &loader->options->values[RF_OPT_HEAP_MODE];
  bool asked = rf_option_on(loader->options, RF_OPT_HEAP_LEAK_CHECK);
  if (asked && mode->level <= RF_FROM_PRESET && mode->value.choice == RF_HEAP_COUNTERS)
    rf_loader_assign(loader, RF_OPT_HEAP_MODE, "exact", "heap.leak_check", RF_FROM_PRESET);
}

/* The value of a variable, NULL when it isn't set or is empty. The first one counts, as for getenv. */
static const char *variable(char *const *environment, const char *name) {
  size_t length = strlen(name);
  for (; environment && *environment; environment++)
    if (strncmp(*environment, name, length) == 0 && (*environment)[length] == '=')
      return (*environment)[length + 1] ? *environment + length + 1 : NULL;
  return NULL;
}

#define TRACE_SHORT "REFUNC_TRACE"
#define CONFIG_FILE "REFUNC_CONFIG"

static void check_name(struct rf_loader *loader, const char *entry) {
  const char *names[RF_OPTION_COUNT + 2] = {CONFIG_FILE, TRACE_SHORT};
  for (int i = 0; i < RF_OPTION_COUNT; i++) names[i + 2] = rf_option_environment((enum rf_option)i);
  char name[128];
  size_t length = strcspn(entry, "=");
  if (length >= sizeof name) length = sizeof name - 1;
  memcpy(name, entry, length);
  name[length] = 0;
  for (size_t i = 0; i < RF_OPTION_COUNT + 2; i++)
    if (strcmp(name, names[i]) == 0) return;
  rf_loader_unknown(loader, name, "", name, names, RF_OPTION_COUNT + 2);
}

/* Names that begin with REFUNC__ are Refunc's own messages to its children. */
static void check_names(struct rf_loader *loader, char *const *environment) {
  for (; environment && *environment; environment++)
    if (strncmp(*environment, "REFUNC_", 7) == 0 && (*environment)[7] != '_')
      check_name(loader, *environment);
}

static void load_environment(struct rf_loader *loader, char *const *environment) {
  check_names(loader, environment);
  const char *trace = variable(environment, TRACE_SHORT);
  if (trace) add_all(loader, RF_OPT_TRACE_FUNCTIONS, trace, TRACE_SHORT);
  for (int i = 0; i < RF_OPTION_COUNT; i++) {
    const char *name = rf_option_environment((enum rf_option)i), *value = variable(environment, name);
    if (value) set_option(loader, (enum rf_option)i, value, name, RF_FROM_ENVIRONMENT);
  }
}

static void load_assignment(struct rf_loader *loader, const char *assignment) {
  const char *equals = strchr(assignment, '=');
  char key[128];
  size_t length = equals ? (size_t)(equals - assignment) : strlen(assignment);
  if (length >= sizeof key) length = sizeof key - 1;
  memcpy(key, assignment, length);
  key[length] = 0;
  enum rf_option option = rf_option_find(key);
  const char *names[RF_OPTION_COUNT];
  for (int i = 0; i < RF_OPTION_COUNT; i++) names[i] = rf_option_short_key((enum rf_option)i);
  if (option == RF_OPTION_COUNT)
    rf_loader_unknown(loader, "--set", key, key, names, RF_OPTION_COUNT);
  else if (!equals)
    rf_loader_complain(loader, "--set", key, "wants a value: --set %s=VALUE", key);
  else
    set_option(loader, option, equals + 1, "--set", RF_FROM_COMMAND_LINE);
}

/* $XDG_CONFIG_HOME/refunc/refunc.yaml; NULL without a home. Never relative: that would be the current
 * directory. */
static const char *home_config(struct rf_pool *pool, char *const *environment) {
  const char *config = variable(environment, "XDG_CONFIG_HOME"), *home = variable(environment, "HOME");
  if (config && *config == '/') return rf_pool_join(pool, config, "/refunc/refunc.yaml");
  return home && *home == '/' ? rf_pool_join(pool, home, "/.config/refunc/refunc.yaml") : NULL;
}

static void load_config(struct rf_loader *loader, const struct rf_option_sources *sources) {
  struct rf_pool *pool = &loader->options->pool;
  const char *named =
      sources->config_path ? sources->config_path : variable(sources->environment, CONFIG_FILE);
  const char *path = named ? rf_pool_text(pool, named) : home_config(pool, sources->environment);
  if (!path) return;
  int result = rf_loader_config(loader, path);
  if (result == 0)
    loader->options->config_file = path;
  else if (named)
    rf_loader_complain(loader, path, "", "the config file%s can't be read: %s",
                       sources->config_path ? "" : " of " CONFIG_FILE, strerrordesc_np(-result));
}

/* ---- what is shown ---- */

static char *put_escaped(char *out, const char *text) {
  for (; *text; text++) {
    if (*text == ',') *out++ = '\\';
    *out++ = *text;
  }
  return out;
}

/* A list as its environment variable would say it. */
static const char *joined(struct rf_pool *pool, const struct rf_option_list *list) {
  size_t room = 1;
  for (size_t i = 0; i < list->count; i++) room += strlen(list->items[i].text) * 2 + 1;
  char *shown = rf_pool_take(pool, room), *out = shown;
  for (size_t i = 0; shown && i < list->count; i++) {
    if (i > 0) *out++ = ',';
    out = put_escaped(out, list->items[i].text);
  }
  return shown ? shown : "";
}

/* The origins of a list, each once, the first few of them. */
static const char *origins(struct rf_pool *pool, const struct rf_option_list *list) {
  const char *shown[ORIGINS_MAX], *text = "default";
  size_t count = 0;
  for (size_t i = 0; i < list->count; i++) {
    size_t known = 0;
    while (known < count && strcmp(shown[known], list->items[i].origin) != 0) known++;
    if (known < count) continue;
    const char *more = count == ORIGINS_MAX ? "..." : list->items[i].origin;
    char *longer = count == 0 ? rf_pool_text(pool, more) : rf_pool_join(pool, text, ", ", more);
    if (!longer) break;
    text = longer;
    if (count == ORIGINS_MAX) break;
    shown[count++] = list->items[i].origin;
  }
  return text;
}

static void show_lists(struct rf_options *options) {
  for (int i = 0; i < RF_OPTION_COUNT; i++)
    if (rf_value_kind(rf_option_values((enum rf_option)i)) == RF_VALUE_LIST) {
      options->values[i].shown = joined(&options->pool, &options->lists[i]);
      options->values[i].origin = origins(&options->pool, &options->lists[i]);
    }
}

struct rf_options *rf_options_load(const struct rf_option_sources *sources, rf_option_complaint *complain,
                                   void *user, int *errors) {
  struct rf_options *options = rf_calloc(1, sizeof *options);
  struct rf_loader loader = {options, complain, user, 0};
  if (options) {
    load_defaults(&loader);
    load_config(&loader, sources);
    load_environment(&loader, sources->environment);
    for (const char *const *at = sources->assignments; at && *at; at++) load_assignment(&loader, *at);
    load_preset(&loader);
    load_implied(&loader);
    show_lists(options);
  }
  if (errors) *errors = loader.errors;
  return options;
}
