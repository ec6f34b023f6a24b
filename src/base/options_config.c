/*
 * What the keys of the config file mean:
 *
 *   section.key                          an option of the table, nested or dotted
 *   functions.PATTERN.key[.argument]     a setting of a function; PATTERN is timed
 *   spans.NAME.key[.part]                a span
 *
 * Patterns have dots of their own, so in a dotted functions.PATTERN.key the key is the known one at the end.
 */
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/options_set.h"

#define ORIGIN 400
#define COMPLAINTS_MAX 50
#define COUNT(array) (sizeof(array) / sizeof *(array))

struct file {
  struct rf_loader *loader;
  const char *path;
  char origin[ORIGIN];
  int complaints; /* of this file so far */
};

struct known_key {
  const char *key, *type;
};

static const struct known_key function_keys[] = {
    {"mode", "perf_counter|wall_clock|process_time|thread_time"},
    {"budget", "RATIO"},
    {"memory", "ONOFF"},
    {"system", "ONOFF"},
    {"keep", "KEEP"},
    {"after", "NUMBER"},
    {"signature", "TEXT"},
    {"args", "TEXT"},
    {"return", "TEXT"},
    {"on_violation", "report|abort|return|call"},
};

static const struct known_key span_keys[] = {
    {"begin", "TEXT"},
    {"end", "TEXT"},
    {"duplicate", "restart|keep|queue"},
    {"in_flight", "NUMBER"},
    {"begin.function", "TEXT"},
    {"begin.key", "TEXT"},
    {"begin.at", "entry|return"},
    {"begin.when", "TEXT"},
    {"end.function", "TEXT"},
    {"end.key", "TEXT"},
    {"end.at", "entry|return"},
    {"end.when", "TEXT"},
};

static const char *origin_of(struct file *file, unsigned line) {
  if (line)
    snprintf(file->origin, sizeof file->origin, "%s:%u", file->path, line);
  else
    snprintf(file->origin, sizeof file->origin, "%s", file->path);
  return file->origin;
}

/* ---- values ---- */

/* Where text may have been lost behind ` #`, says so. */
static bool lost(struct file *file, const char *key, const struct rf_config_item *item) {
  if (!item->behind) return false;
  rf_loader_complain(
      file->loader, origin_of(file, item->line), key,
      "'%.60s' behind it is a comment in YAML: quote the whole text, or write '# ' for a comment",
      item->behind);
  return true;
}

/* The one text of a value; NULL (reported) when there is none or a list. */
static const struct rf_config_item *single(struct file *file, const char *key,
                                           const struct rf_config_value *value) {
  const char *problem = value->list         ? "wants one value, not a list"
                        : value->count == 0 ? "has no value"
                                            : NULL;
  if (!problem) return value->items;
  rf_loader_complain(file->loader, origin_of(file, value->line), key, "%s", problem);
  return NULL;
}

static void set_list(struct file *file, enum rf_option option, const struct rf_config_value *value) {
  for (size_t i = 0; i < value->count; i++) {
    const struct rf_config_item *item = &value->items[i];
    if (lost(file, rf_option_short_key(option), item) || !*item->text) continue;
    rf_loader_add(file->loader, option, item->text, strlen(item->text), origin_of(file, item->line));
  }
}

static void set_option(struct file *file, enum rf_option option, const struct rf_config_value *value) {
  enum rf_value_kind kind = rf_value_kind(rf_option_values(option));
  const char *key = rf_option_short_key(option);
  if (kind == RF_VALUE_LIST) {
    set_list(file, option, value);
    return;
  }
  const struct rf_config_item *item = single(file, key, value);
  if (!item || (kind == RF_VALUE_TEXT && lost(file, key, item))) return;
  rf_loader_assign(file->loader, option, item->text, origin_of(file, item->line), RF_FROM_FILE);
}

/* ---- options ---- */

static bool is_section(const char *name) {
  size_t length = strlen(name);
  for (int i = 0; i < RF_OPTION_COUNT; i++) {
    const char *key = rf_option_key((enum rf_option)i);
    if (strncmp(key, name, length) == 0 && key[length] == '.') return true;
  }
  return false;
}

static void unknown_option(struct file *file, const char *key, unsigned line) {
  const char *names[RF_OPTION_COUNT + 2] = {"functions", "spans"};
  for (int i = 0; i < RF_OPTION_COUNT; i++) names[i + 2] = rf_option_short_key((enum rf_option)i);
  rf_loader_unknown(file->loader, origin_of(file, line), key, key, names, COUNT(names));
}

static void option_value(struct file *file, const char *key, const struct rf_config_value *value) {
  enum rf_option option = rf_option_find(key);
  if (option < RF_OPTION_COUNT)
    set_option(file, option, value);
  else if (!is_section(key))
    unknown_option(file, key, value->line);
  else if (value->count || value->list)
    rf_loader_complain(file->loader, origin_of(file, value->line), key, "has keys below it, not a value");
}

/* ---- functions and spans ---- */

/* Whether text is a value of type; else it is complained about. */
static bool good_value(struct file *file, const char *key, const char *type,
                       const struct rf_config_item *item) {
  struct rf_value value;
  char first[64];
  const char *text = item->text, *expected = NULL;
  if (strcmp(type, "KEEP") == 0) {
    int64_t ns;
    expected = rf_value_keep(text, &ns) ? NULL : "slow > and a duration, such as slow > 10ms";
  } else {
    if (strchr(type, '|')) { /* a choice may have words behind it: return -1 */
      snprintf(first, sizeof first, "%.*s", (int)strcspn(text, " "), text);
      text = strstr(type, "return|call") ? first : text;
    }
    expected = rf_value_parse(type, text, &value);
  }
  if (expected) rf_loader_bad_value(file->loader, origin_of(file, item->line), key, text, type, expected);
  return !expected;
}

/* The rules of a list as one text: a; b; c. "" without any; NULL (reported) when text was lost. */
static const char *joined_rules(struct file *file, const char *full, const struct rf_config_value *value) {
  struct rf_pool *pool = &file->loader->options->pool;
  const char **parts = rf_pool_take(pool, (2 * value->count + 1) * sizeof *parts);
  size_t used = 0;
  for (size_t i = 0; parts && i < value->count; i++) {
    if (lost(file, full, &value->items[i])) return NULL;
    if (!*value->items[i].text) continue;
    if (used) parts[used++] = "; ";
    parts[used++] = value->items[i].text;
  }
  return parts ? rf_pool_join_all(pool, parts) : NULL;
}

/* The text of a setting: of one value, or, of rules, of a list's. NULL (reported) when there is none. */
static const char *setting_text(struct file *file, const char *full, bool rules,
                                const struct rf_config_value *value) {
  const struct rf_config_value nothing = {.line = value->line};
  if (value->list && rules) {
    const char *text = joined_rules(file, full, value);
    if (text && !*text) single(file, full, &nothing);
    return text && *text ? text : NULL;
  }
  const struct rf_config_item *item = single(file, full, value);
  return item && !lost(file, full, item) ? rf_pool_text(&file->loader->options->pool, item->text) : NULL;
}

static const struct known_key *find_key(const struct known_key *keys, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(keys[i].key, name) == 0) return &keys[i];
  return NULL;
}

static void unknown_key(struct file *file, const struct known_key *keys, size_t count, const char *full,
                        const char *name, unsigned line) {
  const char *names[COUNT(span_keys) + COUNT(function_keys)];
  for (size_t i = 0; i < count; i++) names[i] = keys[i].key;
  rf_loader_unknown(file->loader, origin_of(file, line), full, name, names, count);
}

/* A checked setting: what both functions and spans have. False when it was left out. */
static bool setting(struct file *file, const struct known_key *keys, size_t count, const char *full,
                    const char *key, const struct rf_config_value *value, const char **text) {
  bool argument = strncmp(key, "args.", 5) == 0 && keys == function_keys;
  const struct known_key *known = find_key(keys, count, argument ? "args" : key);
  if (!known || (strcmp(key, "args") == 0 && keys == function_keys)) {
    if (!known)
      unknown_key(file, keys, count, full, key, value->line);
    else if (value->count || value->list)
      rf_loader_complain(file->loader, origin_of(file, value->line), full,
                         "has arguments below it, each with its rules");
    return false;
  }
  bool rules = argument || (strcmp(key, "return") == 0 && keys == function_keys);
  *text = setting_text(file, full, rules, value);
  const struct rf_config_item item = {*text, value->count ? value->items[0].line : value->line, NULL};
  return *text && good_value(file, full, known->type, &item);
}

/* Naming a function times it. */
static void trace(struct file *file, const char *pattern, unsigned line) {
  struct rf_option_list *list = &file->loader->options->lists[RF_OPT_TRACE_FUNCTIONS];
  if (list->count && strcmp(list->items[list->count - 1].text, pattern) == 0) return;
  rf_loader_add(file->loader, RF_OPT_TRACE_FUNCTIONS, pattern, strlen(pattern), origin_of(file, line));
}

static void function_setting(struct file *file, const char *pattern, const char *key,
                             const struct rf_config_value *value) {
  struct rf_options *options = file->loader->options;
  struct rf_pool *pool = &options->pool;
  const char *text, *full = rf_pool_join(pool, "functions.", pattern, ".", key);
  trace(file, pattern, value->line);
  if (!full || !setting(file, function_keys, COUNT(function_keys), full, key, value, &text)) return;
  struct rf_function_setting *grown = rf_pool_grow(pool, options->functions, options->function_count,
                                                   &options->function_capacity, sizeof *grown);
  if (!grown) return;
  options->functions = grown;
  grown[options->function_count++] =
      (struct rf_function_setting){rf_pool_text(pool, pattern), rf_pool_text(pool, key), text,
                                   rf_pool_text(pool, origin_of(file, value->line))};
}

static void span_setting(struct file *file, const char *span, const char *key,
                         const struct rf_config_value *value) {
  struct rf_options *options = file->loader->options;
  struct rf_pool *pool = &options->pool;
  const char *text, *full = rf_pool_join(pool, "spans.", span, ".", key);
  if (!full || !setting(file, span_keys, COUNT(span_keys), full, key, value, &text)) return;
  struct rf_span_setting *grown =
      rf_pool_grow(pool, options->spans, options->span_count, &options->span_capacity, sizeof *grown);
  if (!grown) return;
  options->spans = grown;
  grown[options->span_count++] =
      (struct rf_span_setting){rf_pool_text(pool, span), rf_pool_text(pool, key), text,
                               rf_pool_text(pool, origin_of(file, value->line))};
}

/* Where the known key of a dotted "PATTERN.key" begins (behind its dot), or NULL. */
static const char *known_tail(const char *text) {
  const char *arguments = strstr(text, ".args.");
  if (arguments) return arguments + 1;
  const char *dot = strrchr(text, '.');
  return dot && find_key(function_keys, COUNT(function_keys), dot + 1) ? dot + 1 : NULL;
}

/* functions.rest, where rest is a pattern, or a pattern with its key. */
static void function_value(struct file *file, const char *name, const char *key,
                           const struct rf_config_value *value) {
  struct rf_pool *pool = &file->loader->options->pool;
  const char *tail = known_tail(name), *pattern = name;
  if (tail && (value->count || value->list || *key)) {
    pattern = rf_pool_slice(pool, name, (size_t)(tail - 1 - name));
    key = *key ? rf_pool_join(pool, tail, ".", key) : tail;
  }
  if (!pattern || !key) return;
  if (!*pattern)
    rf_loader_complain(file->loader, origin_of(file, value->line), "functions", "a function without a name");
  else if (*key)
    function_setting(file, pattern, key, value);
  else if (!value->count && !value->list)
    trace(file, name, value->line);
  else
    rf_loader_complain(file->loader, origin_of(file, value->line), name,
                       "wants settings below it, such as memory: on; trace.functions lists names alone");
}

static void span_value(struct file *file, const char *name, const char *key,
                       const struct rf_config_value *value) {
  struct rf_pool *pool = &file->loader->options->pool;
  const char *dot = *key ? NULL : strrchr(name, '.');
  if (dot) {
    key = dot + 1;
    name = rf_pool_slice(pool, name, (size_t)(dot - name));
  }
  if (name && *name && *key)
    span_setting(file, name, key, value);
  else
    rf_loader_complain(file->loader, origin_of(file, value->line), name ? name : "",
                       "a span wants a name, and begin and end below it");
}

static const char *join_path(struct rf_pool *pool, const char *const *path, size_t depth) {
  const char *joined = depth ? path[0] : "";
  for (size_t i = 1; joined && i < depth; i++) joined = rf_pool_join(pool, joined, ".", path[i]);
  return joined ? joined : "";
}

/* Takes "functions" or "spans" off the path's beginning: the name below it (NULL: nothing is below it) and
 * the key below that. False when the path is none of the group's. */
static bool in_group(struct rf_pool *pool, const char *group, const char *const *path, size_t depth,
                     const char **name, const char **key) {
  size_t length = strlen(group);
  if (strncmp(path[0], group, length) != 0 || (path[0][length] && path[0][length] != '.')) return false;
  size_t used = path[0][length] ? 1 : 2;
  *name = used == 1 ? path[0] + length + 1 : depth > 1 ? path[1] : NULL;
  *key = depth > used ? join_path(pool, path + used, depth - used) : "";
  return true;
}

/* ---- the handler ---- */

static bool enough(struct file *file) {
  if (file->loader->errors <= COMPLAINTS_MAX) return false;
  if (file->complaints++ == 0 && file->loader->complain)
    rf_loader_complain(file->loader, file->path, "", "more than %d problems: the others are not shown",
                       COMPLAINTS_MAX);
  file->loader->complain = NULL;
  return true;
}

static void handle_value(void *user, const char *const *path, size_t depth,
                         const struct rf_config_value *value) {
  struct file *file = user;
  struct rf_pool *pool = &file->loader->options->pool;
  const char *name, *key;
  enough(file);
  bool function = in_group(pool, "functions", path, depth, &name, &key);
  if (!function && !in_group(pool, "spans", path, depth, &name, &key))
    option_value(file, join_path(pool, path, depth), value);
  else if (name)
    (function ? function_value : span_value)(file, name, key, value);
  else if (value->count || value->list)
    rf_loader_complain(file->loader, origin_of(file, value->line), path[0],
                       "has names below it, each with its settings");
}

static void handle_problem(void *user, unsigned line, const char *key, const char *message) {
  struct file *file = user;
  enough(file);
  rf_loader_complain(file->loader, origin_of(file, line), key, "%s", message);
}

int rf_loader_config(struct rf_loader *loader, const char *path) {
  struct file file = {.loader = loader, .path = path};
  rf_option_complaint *complain = loader->complain;
  const struct rf_config_handler handler = {&file, handle_value, handle_problem};
  int result = rf_config_read(path, &handler);
  loader->complain = complain;
  return result;
}
