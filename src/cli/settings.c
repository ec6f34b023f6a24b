/* See settings.h. */
#include "cli/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf/pattern.h"
#include "validate/syntax.h"

/* --- taking --- */

static enum rf_taken wrong(int ignored) {
  (void)ignored;
  return RF_TAKEN_WRONG;
}

static enum rf_taken add(struct rf_settings *settings, const char *key, const char *value) {
  char *assignment;
  if (settings->count == RF_ASSIGNMENTS) return wrong(rf_fail(0, "more than %d settings", RF_ASSIGNMENTS));
  if (asprintf(&assignment, "%s%s%s", key, *key ? "=" : "", value) < 0)
    return wrong(rf_fail(0, "out of memory"));
  settings->assignment[settings->count++] = assignment;
  return RF_TAKEN;
}

static enum rf_taken take_config(struct rf_settings *settings, const char *value) {
  char *path = realpath(value, NULL);
  if (!path) return wrong(rf_fail(0, "--config %s: %m", value));
  settings->config = path;
  return RF_TAKEN;
}

static enum rf_taken take_key(struct rf_settings *settings, struct rf_args *args, const char *command) {
  for (int i = 0; i < RF_OPTION_COUNT; i++) {
    const char *key = rf_option_key((enum rf_option)i), *value;
    char name[64];
    snprintf(name, sizeof name, "--%s", key);
    bool taken = rf_args_value(args, name, &value);
    if (!taken && strncmp(key, "refunc.", 7) == 0) {
      snprintf(name, sizeof name, "--%s", key + 7);
      taken = rf_args_value(args, name, &value);
    }
    if (!taken) continue;
    return value ? add(settings, key, value) : wrong(rf_args_no_value(args, 0, command));
  }
  return RF_NOT_TAKEN;
}

enum rf_taken rf_settings_take(struct rf_settings *settings, struct rf_args *args, const char *command) {
  const char *value;
  if (rf_args_value(args, "--trace", &value))
    return value ? add(settings, "trace.functions", value) : wrong(rf_args_no_value(args, 0, command));
  if (rf_args_value(args, "--config", &value))
    return value ? take_config(settings, value) : wrong(rf_args_no_value(args, 0, command));
  if (rf_args_value(args, "--set", &value)) {
    if (!value) return wrong(rf_args_no_value(args, 0, command));
    if (!strchr(value, '=')) return wrong(rf_fail(0, "--set %s: should be section.key=value", value));
    return add(settings, "", value);
  }
  return take_key(settings, args, command);
}

/* --- loading --- */

static void complain(void *user, const char *message) {
  (void)user;
  rf_fail(0, "%s", message);
}

/* The number of a list's patterns that are none; each is complained about. */
static int bad_patterns(const struct rf_options *options, enum rf_option option) {
  const struct rf_option_item *items;
  size_t count = rf_option_list(options, option, &items);
  struct rf_pattern_set *set = rf_pattern_set_new();
  char error[512];
  int bad = 0;
  for (size_t i = 0; set && i < count; i++) {
    if (rf_pattern_add(set, items[i].text, error, sizeof error) >= 0) continue;
    rf_fail(0, "%s: %s: %s", items[i].origin, rf_option_key(option), error);
    bad++;
  }
  rf_pattern_set_free(set);
  return bad;
}

int rf_settings_load(struct rf_settings *settings) {
  struct rf_option_sources sources = {environ, settings->assignment, settings->config};
  int errors = 0;
  settings->options = rf_options_load(&sources, complain, NULL, &errors);
  if (settings->options)
    return errors + bad_patterns(settings->options, RF_OPT_TRACE_FUNCTIONS) +
           bad_patterns(settings->options, RF_OPT_TRACE_EXCLUDE) +
           rf_validate_syntax(settings->options, complain, NULL);
  rf_fail(0, "out of memory");
  return 1;
}

/* --- handing on --- */

static const char *variable_of(const char *assignment, bool *list) {
  size_t length = strcspn(assignment, "=");
  for (int i = 0; i < RF_OPTION_COUNT; i++) {
    const char *key = rf_option_key((enum rf_option)i);
    bool whole = strlen(key) == length && strncmp(key, assignment, length) == 0;
    bool bare = strncmp(key, "refunc.", 7) == 0 && strlen(key + 7) == length &&
                strncmp(key + 7, assignment, length) == 0;
    if (!whole && !bare) continue;
    *list = strcmp(rf_option_values((enum rf_option)i), "LIST") == 0;
    return rf_option_environment((enum rf_option)i);
  }
  return NULL;
}

/* Lists add up over their origins, so the child's environment gets this one's elements behind those it has.
 */
static bool export_one(const char *assignment) {
  bool list = false;
  const char *variable = variable_of(assignment, &list), *value = strchr(assignment, '=') + 1;
  if (!variable) return true; /* refused while loading */
  const char *before = list ? rf_variable(variable) : NULL;
  if (!before || !*before) return setenv(variable, value, 1) == 0;
  char *joined;
  if (asprintf(&joined, "%s,%s", before, value) < 0) return false;
  bool done = setenv(variable, joined, 1) == 0;
  free(joined);
  return done;
}

bool rf_settings_export(const struct rf_settings *settings) {
  if (settings->config && setenv("REFUNC_CONFIG", settings->config, 1) < 0) return false;
  for (size_t i = 0; i < settings->count; i++)
    if (!export_one(settings->assignment[i])) return false;
  return true;
}

void rf_settings_free(struct rf_settings *settings) {
  for (size_t i = 0; i < settings->count; i++) free((char *)settings->assignment[i]);
  free((char *)settings->config);
  if (settings->options) rf_options_free(settings->options);
  *settings = (struct rf_settings){0};
}
