/*
 * The inside of an option set and of its loading, shared by the files that fill it:
 *
 *   options.c          the table, the getters
 *   options_load.c     sources in their order, precedence, complaints
 *   options_config.c   what a key of the config file means
 *   config.c           YAML into keys and values, strictly; knows no option
 */
#pragma once

#include "base/options.h"
#include "base/pool.h"
#include "base/value.h"

enum rf_option_level {
  RF_FROM_DEFAULT,
  RF_FROM_PRESET,
  RF_FROM_FILE,
  RF_FROM_ENVIRONMENT,
  RF_FROM_COMMAND_LINE
};

struct rf_option_value {
  const char *text, *origin, *shown; /* shown: for lists, all of it */
  struct rf_value value;
  enum rf_option_level level;
};

struct rf_option_list {
  struct rf_option_item *items;
  size_t count, capacity;
};

struct rf_options {
  struct rf_pool pool; /* every string and array below */
  struct rf_option_value values[RF_OPTION_COUNT];
  struct rf_option_list lists[RF_OPTION_COUNT];
  struct rf_function_setting *functions;
  size_t function_count, function_capacity;
  struct rf_span_setting *spans;
  size_t span_count, span_capacity;
  const char *config_file;
};

struct rf_loader {
  struct rf_options *options;
  rf_option_complaint *complain;
  void *user;
  int errors;
};

/* Says, as one line "origin: key: ...", that something is wrong. key "": left out. */
void rf_loader_complain(struct rf_loader *loader, const char *origin, const char *key, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));
/* Says that there is no such thing as name, and which of the names may have been meant. */
void rf_loader_unknown(struct rf_loader *loader, const char *origin, const char *key, const char *name,
                       const char *const *names, size_t count);
/* Says that text is no value for key, whose type is given (options.def); expected: as of rf_value_parse. */
void rf_loader_bad_value(struct rf_loader *loader, const char *origin, const char *key, const char *text,
                         const char *type, const char *expected);
/* Gives an option that is not a list a value, unless it has one from a higher level. Bad ones are complained
 * about. */
void rf_loader_assign(struct rf_loader *loader, enum rf_option option, const char *text, const char *origin,
                      enum rf_option_level level);
/* Adds to a list. */
void rf_loader_add(struct rf_loader *loader, enum rf_option option, const char *text, size_t length,
                   const char *origin);

/* The option of a key, with or without "refunc." before it, or RF_OPTION_COUNT. */
enum rf_option rf_option_find(const char *key);
/* The key as people write it: without "refunc.". */
const char *rf_option_short_key(enum rf_option option);

/* Reads the config file into the set. 0 or a negative errno: it can't be read, nothing was said. */
int rf_loader_config(struct rf_loader *loader, const char *path);
