/* See settings.h. */
#include "validate/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/value.h"

#define ERROR_BYTES 400

void rf_rule_sets_complain(struct rf_rule_sets *sets, const char *origin, const char *key, const char *format,
                           ...) {
  char what[600], message[1200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  snprintf(message, sizeof message, "%s: %s: %s", origin, key, what);
  sets->complaints++;
  sets->complain(sets->user, message);
}

static struct rf_rule_set *set_of(struct rf_rule_sets *sets, const char *pattern, const char *origin) {
  for (size_t i = 0; i < sets->sets; i++)
    if (!strcmp(sets->set[i].pattern, pattern)) return &sets->set[i];
  struct rf_rule_set *grown =
      rf_pool_grow(&sets->pool, sets->set, sets->sets, &sets->capacity, sizeof *grown);
  if (!grown) return NULL;
  sets->set = grown;
  grown[sets->sets] = (struct rf_rule_set){.pattern = pattern, .origin = origin};
  return &grown[sets->sets++];
}

/* ---- functions ---- */

static void add_rules(struct rf_rule_sets *sets, struct rf_rule_set *set,
                      const struct rf_function_setting *setting, const char *key) {
  char error[ERROR_BYTES];
  struct rf_rule_setting fresh = {.key = key, .origin = setting->origin};
  struct rf_path path;
  fresh.full_key = rf_pool_join(&sets->pool, "functions.", setting->pattern, ".", setting->key);
  if (!fresh.full_key) return;
  if (!rf_path_parse(key, &sets->pool, &path, NULL, error, sizeof error) ||
      !rf_rules_parse(setting->value, &sets->pool, &fresh.rules, error, sizeof error)) {
    rf_rule_sets_complain(sets, setting->origin, fresh.full_key, "%s", error);
    return;
  }
  struct rf_rule_setting *grown =
      rf_pool_grow(&sets->pool, set->rule, set->rules, &set->capacity, sizeof *grown);
  if (!grown) return;
  set->rule = grown;
  grown[set->rules++] = fresh;
}

static void read_reaction(struct rf_rule_sets *sets, struct rf_rule_set *set,
                          const struct rf_function_setting *setting) {
  char error[ERROR_BYTES];
  set->reaction_origin = setting->origin;
  set->has_reaction = rf_reaction_parse(setting->value, &sets->pool, &set->reaction, error, sizeof error);
  if (set->has_reaction) return;
  char key[300];
  snprintf(key, sizeof key, "functions.%.200s.on_violation", setting->pattern);
  rf_rule_sets_complain(sets, setting->origin, key, "%s", error);
}

static bool is_ours(const char *key) {
  static const char *const keys[] = {"return", "on_violation", "signature", "keep", "after"};
  if (!strncmp(key, "args.", 5)) return true;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!strcmp(key, keys[i])) return true;
  return false;
}

static void read_function(struct rf_rule_sets *sets, const struct rf_function_setting *setting) {
  if (!is_ours(setting->key)) return;
  struct rf_rule_set *set = set_of(sets, setting->pattern, setting->origin);
  if (!set) return;
  if (!strncmp(setting->key, "args.", 5))
    add_rules(sets, set, setting, setting->key + 5);
  else if (!strcmp(setting->key, "return"))
    add_rules(sets, set, setting, "return");
  else if (!strcmp(setting->key, "on_violation"))
    read_reaction(sets, set, setting);
  else if (!strcmp(setting->key, "keep"))
    rf_value_keep(setting->value, &set->keep_ns);
  else if (!strcmp(setting->key, "after"))
    rf_value_number(setting->value, &set->after);
  else
    set->signature = setting->value, set->signature_origin = setting->origin;
}

/* ---- spans ---- */

static struct rf_span_setting_all *span_of(struct rf_rule_sets *sets, const char *name) {
  for (size_t i = 0; i < sets->spans; i++)
    if (!strcmp(sets->span[i]->plan.name, name)) return sets->span[i];
  struct rf_span_setting_all *fresh = rf_pool_take(&sets->pool, sizeof *fresh);
  struct rf_span_setting_all **grown =
      rf_pool_grow(&sets->pool, sets->span, sets->spans, &sets->span_capacity, sizeof *grown);
  if (!fresh || !grown) return NULL;
  sets->span = grown;
  fresh->plan.name = name;
  return grown[sets->spans++] = fresh;
}

/* function(key=E) */
static bool read_short_form(struct rf_rule_sets *sets, struct rf_span_setting_all *span, int end,
                            const char *text) {
  const char *key = NULL, *close = strrchr(text, ')');
  for (const char *at = text; (at = strstr(at, "(key")); at++) key = at;
  if (!key || !close || close < key || close[1]) return false;
  const char *value = key + 4 + strspn(key + 4, " ");
  if (*value++ != '=') return false;
  value += strspn(value, " ");
  span->function[end] = rf_pool_slice(&sets->pool, text, (size_t)(key - text));
  span->key[end] = rf_pool_slice(&sets->pool, value, (size_t)(close - value));
  return true;
}

static void set_part(struct rf_span_setting_all *span, int end, const char *part, const char *value) {
  if (!strcmp(part, "function"))
    span->function[end] = value;
  else if (!strcmp(part, "key"))
    span->key[end] = value;
  else if (!strcmp(part, "at"))
    span->at[end] = value;
  else
    span->when[end] = value;
}

static void read_span(struct rf_rule_sets *sets, const struct rf_span_setting *setting) {
  static const char *const modes[] = {"restart", "keep", "queue"};
  struct rf_span_setting_all *span = span_of(sets, setting->span);
  if (!span) return;
  int end = !strncmp(setting->key, "end", 3);
  const char *dot = strchr(setting->key, '.');
  if (!strcmp(setting->key, "duplicate")) {
    for (int i = 0; i < 3; i++)
      if (!strcmp(setting->value, modes[i])) span->plan.duplicate = (enum rf_span_duplicate)i;
  } else if (!strcmp(setting->key, "in_flight"))
    rf_value_number(setting->value, &span->plan.in_flight);
  else {
    span->origin[end] = setting->origin;
    if (dot)
      set_part(span, end, dot + 1, setting->value);
    else if (!read_short_form(sets, span, end, setting->value)) {
      char key[300];
      snprintf(key, sizeof key, "spans.%.200s.%s", setting->span, setting->key);
      rf_rule_sets_complain(sets, setting->origin, key,
                            "'%.100s': function(key=E) is expected, such as submit(key=arg1)",
                            setting->value);
    }
  }
}

static bool parse_end(struct rf_rule_sets *sets, struct rf_span_setting_all *span, int end) {
  struct rf_span_end_setting *point = &span->point[end];
  char error[ERROR_BYTES];
  *point = (struct rf_span_end_setting){.span = span, .begin = !end, .origin = span->origin[end]};
  point->full_key = rf_pool_join(&sets->pool, "spans.", span->plan.name, end ? ".end" : ".begin");
  point->on_return = span->at[end] && !strcmp(span->at[end], "return");
  if (!rf_path_parse(span->key[end], &sets->pool, &point->key, NULL, error, sizeof error)) {
    rf_rule_sets_complain(sets, point->origin, point->full_key, "key: %s", error);
    return false;
  }
  point->has_condition = span->when[end] != NULL;
  if (point->has_condition &&
      !rf_condition_parse(span->when[end], &sets->pool, &point->condition, error, sizeof error)) {
    rf_rule_sets_complain(sets, point->origin, point->full_key, "when: %s", error);
    return false;
  }
  return true;
}

static void attach(struct rf_rule_sets *sets, struct rf_span_setting_all *span, int end) {
  struct rf_rule_set *set = set_of(sets, span->function[end], span->origin[end]);
  if (!set) return;
  struct rf_span_end_setting **grown =
      rf_pool_grow(&sets->pool, set->point, set->points, &set->point_capacity, sizeof *grown);
  if (!grown) return;
  set->point = grown;
  grown[set->points++] = &span->point[end];
}

static void finish_span(struct rf_rule_sets *sets, struct rf_span_setting_all *span) {
  static const char *const names[] = {"begin", "end"};
  char key[300];
  snprintf(key, sizeof key, "spans.%.200s", span->plan.name);
  for (int end = 0; end < 2; end++)
    if (!span->function[end] || !span->key[end]) {
      const char *origin = span->origin[end]    ? span->origin[end]
                           : span->origin[!end] ? span->origin[!end]
                                                : "spans";
      rf_rule_sets_complain(sets, origin, key,
                            "'%s' is missing%s: a span needs begin and end, each with function and key",
                            names[end], span->function[end] ? ": its key" : "");
      return;
    }
  if (!parse_end(sets, span, 0) || !parse_end(sets, span, 1)) return;
  span->plan.begin = rf_pool_join(&sets->pool, span->function[0], "(key=", span->key[0], ")");
  span->plan.end = rf_pool_join(&sets->pool, span->function[1], "(key=", span->key[1], ")");
  attach(sets, span, 0);
  attach(sets, span, 1);
}

void rf_rule_sets_read(struct rf_rule_sets *sets, const struct rf_options *options) {
  const struct rf_function_setting *functions;
  const struct rf_span_setting *spans;
  size_t count = rf_option_functions(options, &functions);
  for (size_t i = 0; i < count; i++) read_function(sets, &functions[i]);
  count = rf_option_spans(options, &spans);
  for (size_t i = 0; i < count; i++) read_span(sets, &spans[i]);
  for (size_t i = 0; i < sets->spans; i++) finish_span(sets, sets->span[i]);
}
