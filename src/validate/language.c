/* See language.h. A hand-written parser over one string; every complaint quotes what it met. */
#include "validate/language.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "validate/automaton.h"

struct reader {
  const char *at;
  struct rf_pool *pool;
  char *error;
  size_t error_bytes;
};

static bool fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct reader *r, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (!r->error[0]) vsnprintf(r->error, r->error_bytes, format, arguments);
  va_end(arguments);
  return false;
}

static void skip_spaces(struct reader *r) { r->at += strspn(r->at, " \t"); }

static bool name_start(char c) { return isalpha((unsigned char)c) || c == '_' || c == '$' || (c & 0x80); }
static bool name_part(char c) { return name_start(c) || isdigit((unsigned char)c); }

static size_t name_length(const char *text) {
  size_t n = 0;
  if (name_start(*text))
    while (name_part(text[n])) n++;
  return n;
}

/* Takes text when it comes next: a sign, or a word that ends there. */
static bool take(struct reader *r, const char *text) {
  skip_spaces(r);
  size_t n = strlen(text);
  if (strncmp(r->at, text, n) != 0 || (name_part(text[n - 1]) && name_part(r->at[n]))) return false;
  r->at += n;
  return true;
}

/* Two words with any blanks between them. */
static bool take_words(struct reader *r, const char *first, const char *second) {
  const char *before = r->at;
  if (take(r, first) && take(r, second)) return true;
  r->at = before;
  return false;
}

static const char *take_name(struct reader *r) {
  skip_spaces(r);
  size_t n = name_length(r->at);
  const char *name = n ? rf_pool_slice(r->pool, r->at, n) : NULL;
  r->at += n;
  return name;
}

/* ---- numbers ---- */

static size_t digits(const char *text, bool hexadecimal) {
  size_t n = 0;
  while (hexadecimal ? isxdigit((unsigned char)text[n]) : isdigit((unsigned char)text[n])) n++;
  return n;
}

/* Length of the number at text; a dot belongs to it only before a digit, so that 0..1 is a range. *whole: it
 * has neither fraction nor exponent. */
static size_t number_length(const char *text, bool *whole) {
  size_t n = *text == '-' || *text == '+';
  *whole = true;
  if (text[n] == '0' && (text[n + 1] | 32) == 'x') {
    size_t hex = digits(text + n + 2, true);
    return hex ? n + 2 + hex : 0;
  }
  size_t before = digits(text + n, false);
  n += before;
  if (text[n] == '.' && isdigit((unsigned char)text[n + 1])) {
    *whole = false;
    n += 1 + digits(text + n + 1, false);
  } else if (!before)
    return 0;
  if ((text[n] | 32) != 'e') return n; /* the end included: what lies behind it is not the text's */
  size_t sign = text[n + 1] == '-' || text[n + 1] == '+';
  if (!isdigit((unsigned char)text[n + 1 + sign])) return n;
  *whole = false;
  return n + 1 + sign + digits(text + n + 1 + sign, false);
}

static bool at_number(struct reader *r) {
  bool whole;
  skip_spaces(r);
  return number_length(r->at, &whole) > 0;
}

static void number_of_double(struct rf_number *number, double value) {
  number->kind = RF_NUMBER_DOUBLE;
  memcpy(&number->bits, &value, sizeof value);
}

static bool take_number(struct reader *r, struct rf_number *number) {
  char text[64], *end;
  bool whole;
  skip_spaces(r);
  size_t n = number_length(r->at, &whole);
  if (!n || n >= sizeof text) return fail(r, "a number is expected at '%.30s'", r->at);
  memcpy(text, r->at, n);
  text[n] = '\0';
  r->at += n;
  if (name_part(*r->at)) return fail(r, "'%s%.10s' is no number", text, r->at);
  errno = 0;
  *number = (struct rf_number){.kind = text[0] == '-' ? RF_NUMBER_SIGNED : RF_NUMBER_UNSIGNED};
  if (whole) number->bits = text[0] == '-' ? (uint64_t)strtoll(text, &end, 0) : strtoull(text, &end, 0);
  if (!whole || errno) number_of_double(number, strtod(text, &end));
  return true;
}

static bool take_index(struct reader *r, uint64_t *index) {
  struct rf_number number;
  if (!take_number(r, &number)) return false;
  if (number.kind != RF_NUMBER_UNSIGNED)
    return fail(r, "a whole number from 0 on is expected before '%.20s'", r->at);
  *index = number.bits;
  return true;
}

/* ---- paths and products ---- */

static bool take_step(struct reader *r, struct rf_path *path) {
  struct rf_path_step *step = &path->step[path->steps];
  bool arrow = !strncmp(r->at, "->", 2), index = *r->at == '[';
  if (path->steps == RF_PATH_STEPS) return fail(r, "more than %d steps in a path", RF_PATH_STEPS);
  r->at += arrow ? 2 : 1;
  step->kind = arrow ? RF_STEP_ARROW : index ? RF_STEP_INDEX : RF_STEP_FIELD;
  path->steps++;
  if (index)
    return take_index(r, &step->index) && (take(r, "]") || fail(r, "']' is missing at '%.20s'", r->at));
  step->name = take_name(r);
  return step->name || fail(r, "a field's name is expected at '%.20s'", r->at);
}

static bool at_step(const char *at) {
  return !strncmp(at, "->", 2) || *at == '[' || (*at == '.' && name_start(at[1]));
}

static bool take_path(struct reader *r, struct rf_path *path) {
  *path = (struct rf_path){.root = take_name(r)};
  if (!path->root) return fail(r, "a parameter's name is expected at '%.30s'", r->at);
  while (at_step(r->at))
    if (!take_step(r, path)) return false;
  return true;
}

static bool take_product(struct reader *r, struct rf_rule *rule) {
  do {
    if (rule->terms == RF_PRODUCT_TERMS)
      return fail(r, "a product of more than %d factors", RF_PRODUCT_TERMS);
    struct rf_operand_text *term = &rule->term[rule->terms++];
    if (at_number(r) ? !take_number(r, &term->number) : !take_path(r, &term->path)) return false;
  } while (take(r, "*"));
  return true;
}

/* ---- rules ---- */

static bool take_range(struct reader *r, struct rf_rule *rule) {
  rule->kind = RF_RULE_IN_RANGE;
  rule->has_low = at_number(r);
  const char *from = r->at;
  if (rule->has_low && !take_number(r, &rule->low)) return false;
  if (!take(r, ".."))
    return fail(r, "'in' wants a range such as 0..1, 1.. or ..5, or a set such as {1, 2, 4}, not '%.30s'",
                from);
  rule->has_high = at_number(r);
  if (rule->has_high && !take_number(r, &rule->high)) return false;
  if (!rule->has_low && !rule->has_high) return fail(r, "a range needs at least one end: 0.. or ..1");
  if (rule->has_low && rule->has_high && rf_number_compare(&rule->low, &rule->high) > 0)
    return fail(r, "the range is empty: its first end is above its second");
  return true;
}

static bool take_set(struct reader *r, struct rf_rule *rule) {
  size_t capacity = 0;
  rule->kind = RF_RULE_IN_SET;
  do {
    rule->set = rf_pool_grow(r->pool, rule->set, rule->set_count, &capacity, sizeof *rule->set);
    if (!rule->set) return fail(r, "no memory");
    if (!take_number(r, &rule->set[rule->set_count++])) return false;
  } while (take(r, ","));
  return take(r, "}") || fail(r, "'}' is missing at '%.20s'", r->at);
}

/* /re/ where \/ is a slash. */
static bool take_expression(struct reader *r, struct rf_rule *rule) {
  skip_spaces(r);
  if (*r->at != '/')
    return fail(r, "'matches' wants an expression between slashes, such as matches /^[a-z]+$/");
  const char *from = ++r->at;
  char *text = rf_pool_slice(r->pool, from, strlen(from));
  size_t n = 0;
  if (!text) return fail(r, "no memory");
  while (*r->at && *r->at != '/') {
    if (*r->at == '\\' && r->at[1] == '/')
      r->at++;
    else if (*r->at == '\\' && r->at[1])
      text[n++] = *r->at++;
    text[n++] = *r->at++;
  }
  text[n] = '\0';
  rule->name = text;
  if (*r->at != '/') return fail(r, "the '/' at the expression's end is missing");
  r->at++;
  char why[200];
  struct rf_automaton *automaton = rf_automaton_new(text, why, sizeof why);
  rf_automaton_free(automaton);
  return automaton || fail(r, "/%s/: %s", text, why);
}

static bool take_relation(struct reader *r, enum rf_relation *relation) {
  static const char *const signs[] = {"==", "!=", "<=", ">=", "<", ">"};
  static const enum rf_relation meant[] = {RF_EQUAL, RF_NOT_EQUAL, RF_AT_MOST, RF_AT_LEAST, RF_LESS, RF_MORE};
  for (int i = 0; i < 6; i++)
    if (take(r, signs[i])) {
      *relation = meant[i];
      return true;
    }
  return false;
}

static bool unknown_rule(struct reader *r) {
  static const char *const names[] = {"not null",   "null",    "finite",    "in",       "length",   "utf8",
                                      "max length", "matches", "validator", "on entry", "on return"};
  char word[64];
  size_t n = strcspn(r->at, ";{</=.0123456789");
  while (n && r->at[n - 1] == ' ') n--;
  snprintf(word, sizeof word, "%.*s", (int)(n < 60 ? n : 60), r->at);
  if (*r->at == '=') return fail(r, "'=' is no rule: write == to compare");
  const char *nearest = rf_nearest(word, names, sizeof names / sizeof *names);
  if (!nearest)
    nearest = !strncmp(r->at, "between", 7) ? "in A..B" : !strncmp(r->at, "nonnull", 7) ? "not null" : NULL;
  if (nearest) return fail(r, "'%s' is no rule; did you mean '%s'?", word, nearest);
  return fail(r,
              "'%.40s' is no rule: not null, null, finite, in, ==, !=, <, <=, >, >=, length, utf8, max "
              "length, matches, "
              "validator, on entry, on return",
              r->at);
}

static bool take_words_alone(struct reader *r, struct rf_rule *rule) {
  if (take_words(r, "not", "null"))
    rule->kind = RF_RULE_NOT_NULL;
  else if (take(r, "null") || take(r, "NULL"))
    rule->kind = RF_RULE_NULL;
  else if (take(r, "finite"))
    rule->kind = RF_RULE_FINITE;
  else if (take(r, "utf8"))
    rule->kind = RF_RULE_UTF8;
  else
    return false;
  return true;
}

static bool take_named(struct reader *r, struct rf_rule *rule) {
  rule->kind = RF_RULE_VALIDATOR;
  skip_spaces(r);
  size_t n = 0;
  while (name_part(r->at[n]) || r->at[n] == '-' || r->at[n] == '.' || r->at[n] == ':') n++;
  if (r->at[0] == '/') n = strcspn(r->at, ";"); /* /path/plugin.so:function */
  while (n && r->at[n - 1] == ' ') n--;
  rule->name = n ? rf_pool_slice(r->pool, r->at, n) : NULL;
  r->at += n;
  return rule->name ||
         fail(r, "'validator' wants the name under which it was registered, or /path/plugin.so:function");
}

static bool take_rule(struct reader *r, struct rf_rule *rule) {
  if (take_words_alone(r, rule)) return true;
  if (take(r, "in")) return take(r, "{") ? take_set(r, rule) : take_range(r, rule);
  if (take_relation(r, &rule->relation)) {
    rule->kind = RF_RULE_COMPARE;
    return take_product(r, rule);
  }
  if (take(r, "length")) {
    rule->kind = RF_RULE_LENGTH;
    return take_product(r, rule);
  }
  if (take_words(r, "max", "length")) {
    rule->kind = RF_RULE_MAX_LENGTH;
    return take_index(r, &rule->low.bits);
  }
  if (take(r, "matches")) {
    rule->kind = RF_RULE_MATCHES;
    return take_expression(r, rule);
  }
  if (take(r, "validator")) return take_named(r, rule);
  return unknown_rule(r);
}

static const char *shown(struct reader *r, const char *from, const char *to) {
  while (to > from && to[-1] == ' ') to--;
  return rf_pool_slice(r->pool, from, (size_t)(to - from));
}

static bool take_rules(struct reader *r, struct rf_rules *rules) {
  size_t capacity = 0;
  bool on_return = false;
  while (skip_spaces(r), *r->at) {
    const char *from = r->at;
    if (take(r, ";")) continue;
    bool back = take_words(r, "on", "return");
    if (back || take_words(r, "on", "entry"))
      on_return = back;
    else {
      struct rf_rule rule = {.on_return = on_return};
      if (!take_rule(r, &rule)) return false;
      rule.text = shown(r, from, r->at);
      rules->rule = rf_pool_grow(r->pool, rules->rule, rules->count, &capacity, sizeof rule);
      if (!rules->rule) return fail(r, "no memory");
      rules->rule[rules->count++] = rule;
    }
    skip_spaces(r);
    if (*r->at && *r->at != ';')
      return fail(r, "rules are separated by ';': there is none before '%.40s'", r->at);
  }
  return rules->count || fail(r, "there is no rule");
}

static struct reader begin(const char *text, struct rf_pool *pool, char *error, size_t error_bytes) {
  error[0] = '\0';
  return (struct reader){text, pool, error, error_bytes};
}

bool rf_rules_parse(const char *text, struct rf_pool *pool, struct rf_rules *rules, char *error,
                    size_t error_bytes) {
  struct reader r = begin(text, pool, error, error_bytes);
  *rules = (struct rf_rules){0};
  return take_rules(&r, rules);
}

bool rf_path_parse(const char *text, struct rf_pool *pool, struct rf_path *path, const char **rest,
                   char *error, size_t error_bytes) {
  struct reader r = begin(text, pool, error, error_bytes);
  if (!take_path(&r, path)) return false;
  skip_spaces(&r);
  if (rest) *rest = r.at;
  return rest || !*r.at || fail(&r, "'%.30s' behind the path '%s' means nothing", r.at, text);
}

bool rf_condition_parse(const char *text, struct rf_pool *pool, struct rf_condition *condition, char *error,
                        size_t error_bytes) {
  struct reader r = begin(text, pool, error, error_bytes);
  *condition = (struct rf_condition){.rule = {.kind = RF_RULE_COMPARE, .text = text}};
  if (!take_path(&r, &condition->path)) return false;
  if (!take_relation(&r, &condition->rule.relation))
    return fail(&r, "a comparison such as 'result > 0' is expected, not '%.40s'", text);
  condition->relation = condition->rule.relation;
  if (!take_product(&r, &condition->rule)) return false;
  skip_spaces(&r);
  return !*r.at || fail(&r, "'%.30s' behind the condition means nothing", r.at);
}

/* ---- on_violation ---- */

static bool take_errno(struct reader *r, int *number) {
  const char *name = take_name(r);
  for (int i = 1; name && i < 200; i++) {
    const char *known = strerrorname_np(i);
    if (!known || strcmp(known, name) != 0) continue;
    *number = i;
    return true;
  }
  return fail(r, "errno has no value '%s'; a name such as EINVAL is expected", name ? name : r->at);
}

static bool take_substitute(struct reader *r, struct rf_on_violation *reaction) {
  reaction->reaction = RF_REACT_RETURN;
  if (take(r, "NULL") || take(r, "nullptr") || take(r, "null") || take(r, "false"))
    reaction->value = (struct rf_number){.kind = RF_NUMBER_UNSIGNED};
  else if (take(r, "true"))
    reaction->value = (struct rf_number){.kind = RF_NUMBER_UNSIGNED, .bits = 1};
  else if (!take_number(r, &reaction->value))
    return fail(r, "'return' wants the value to return");
  return !take(r, "errno") || take_errno(r, &reaction->error);
}

static bool take_plugin(struct reader *r, struct rf_on_violation *reaction) {
  reaction->reaction = RF_REACT_CALL;
  skip_spaces(r);
  const char *colon = strrchr(r->at, ':');
  if (*r->at != '/' || !colon || !colon[1])
    return fail(
        r,
        "'call' wants the absolute path of a shared object and a function in it: call /opt/rules.so:on_bad");
  reaction->plugin = rf_pool_slice(r->pool, r->at, (size_t)(colon - r->at));
  reaction->function = rf_pool_text(r->pool, colon + 1);
  r->at += strlen(r->at);
  return reaction->plugin && reaction->function;
}

bool rf_reaction_parse(const char *text, struct rf_pool *pool, struct rf_on_violation *reaction, char *error,
                       size_t error_bytes) {
  struct reader r = begin(text, pool, error, error_bytes);
  *reaction = (struct rf_on_violation){0};
  bool good = true;
  if (take(&r, "report"))
    reaction->reaction = RF_REACT_REPORT;
  else if (take(&r, "abort"))
    reaction->reaction = RF_REACT_ABORT;
  else if (take(&r, "return"))
    good = take_substitute(&r, reaction);
  else if (take(&r, "call"))
    good = take_plugin(&r, reaction);
  else
    good =
        fail(&r, "'%.40s' is none of report, abort, return VALUE [errno NAME], call PLUGIN:FUNCTION", r.at);
  skip_spaces(&r);
  return good && (!*r.at || fail(&r, "'%.30s' is too much", r.at));
}
