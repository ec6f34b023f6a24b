/* The table of options.def and the getters of an effective set. How a set comes about: options_set.h. */
#include "base/options.h"

#include <string.h>

#include "base/memory.h"
#include "base/options_set.h"

struct definition {
  const char *key, *environment, *type, *fallback, *help;
};

static const struct definition table[] = {
#define RF_OPTION(id, key, type, fallback, help) {key, "REFUNC_" #id, type, fallback, help},
#include "base/options.def"
#undef RF_OPTION
};

#define SHORT strlen("refunc.")

const char *rf_option_key(enum rf_option option) { return table[option].key; }
const char *rf_option_environment(enum rf_option option) { return table[option].environment; }
const char *rf_option_help(enum rf_option option) { return table[option].help; }
const char *rf_option_values(enum rf_option option) { return table[option].type; }
const char *rf_option_default(enum rf_option option) { return table[option].fallback; }

const char *rf_option_short_key(enum rf_option option) {
  const char *key = table[option].key;
  return strncmp(key, "refunc.", SHORT) == 0 ? key + SHORT : key;
}

enum rf_option rf_option_find(const char *key) {
  if (strncmp(key, "refunc.", SHORT) == 0) key += SHORT;
  for (int i = 0; i < RF_OPTION_COUNT; i++)
    if (strcmp(key, rf_option_short_key((enum rf_option)i)) == 0) return (enum rf_option)i;
  return RF_OPTION_COUNT;
}

/* The value of an option, or NULL where it is of another type. */
static const struct rf_value *typed(const struct rf_options *options, enum rf_option option,
                                    enum rf_value_kind kind) {
  return rf_value_kind(table[option].type) == kind ? &options->values[option].value : NULL;
}

bool rf_option_on(const struct rf_options *options, enum rf_option option) {
  const struct rf_value *value = typed(options, option, RF_VALUE_ONOFF);
  return value && value->on;
}

int rf_option_choice(const struct rf_options *options, enum rf_option option) {
  const struct rf_value *value = typed(options, option, RF_VALUE_CHOICE);
  if (!value) value = typed(options, option, RF_VALUE_AUTO);
  return value ? value->choice : 0;
}

uint64_t rf_option_bytes(const struct rf_options *options, enum rf_option option) {
  const struct rf_value *value = typed(options, option, RF_VALUE_SIZE);
  return value ? value->number : 0;
}

uint64_t rf_option_number(const struct rf_options *options, enum rf_option option) {
  const struct rf_value *value = typed(options, option, RF_VALUE_NUMBER);
  return value ? value->number : 0;
}

int64_t rf_option_ns(const struct rf_options *options, enum rf_option option) {
  const struct rf_value *value = typed(options, option, RF_VALUE_DURATION);
  return value ? value->ns : 0;
}

double rf_option_ratio(const struct rf_options *options, enum rf_option option) {
  const struct rf_value *value = typed(options, option, RF_VALUE_RATIO);
  return value ? value->ratio : 0;
}

const char *rf_option_text(const struct rf_options *options, enum rf_option option) {
  return rf_value_kind(table[option].type) == RF_VALUE_LIST ? "" : options->values[option].text;
}

size_t rf_option_list(const struct rf_options *options, enum rf_option option,
                      const struct rf_option_item **items) {
  *items = options->lists[option].items;
  return options->lists[option].count;
}

size_t rf_option_functions(const struct rf_options *options, const struct rf_function_setting **settings) {
  *settings = options->functions;
  return options->function_count;
}

size_t rf_option_spans(const struct rf_options *options, const struct rf_span_setting **settings) {
  *settings = options->spans;
  return options->span_count;
}

const char *rf_option_config_file(const struct rf_options *options) { return options->config_file; }

const char *rf_option_shown(const struct rf_options *options, enum rf_option option, const char **origin) {
  const struct rf_option_value *value = &options->values[option];
  if (origin) *origin = value->origin;
  return value->shown ? value->shown : value->text;
}

void rf_options_free(struct rf_options *options) {
  if (!options) return;
  rf_pool_free(&options->pool);
  rf_free(options);
}
