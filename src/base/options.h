/*
 * Every option, defined once in options.def. Values come, in rising precedence, from defaults, the preset,
 * the config file (YAML, config.c), the environment and the command line; each remembers its origin.
 *
 *   options.def ──▶ options.c (table, parsing, precedence) ◀── config.c (YAML)
 *                        │                                └── nearest.c (spelling help)
 *                        ▼ typed getters
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rf_option {
#define RF_OPTION(id, key, type, fallback, help) RF_OPT_##id,
#include "base/options.def"
#undef RF_OPTION
  RF_OPTION_COUNT
};

enum rf_preset { RF_PRESET_DEFAULT, RF_PRESET_QUICK, RF_PRESET_FULL, RF_PRESET_DEBUG };
enum rf_heap_mode { RF_HEAP_COUNTERS, RF_HEAP_OFF, RF_HEAP_SAMPLED, RF_HEAP_EXACT };
enum rf_auto { RF_AUTO, RF_ON, RF_OFF };

/* One element of a list option, e.g. a pattern of trace.functions. */
struct rf_option_item {
  const char *text;
  const char *origin;
};

/* A setting of one function (functions: in the config file): pattern, key (memory, args.x, return, ...),
 * value. */
struct rf_function_setting {
  const char *pattern, *key, *value, *origin;
};
/* A span (spans:): its name, key (begin, end, duplicate, in_flight), value. */
struct rf_span_setting {
  const char *span, *key, *value, *origin;
};

struct rf_options; /* opaque: one effective set */

/* What loading found wrong: one line with origin, key, and the nearest right one. */
typedef void rf_option_complaint(void *user, const char *message);

struct rf_option_sources {
  char *const *environment;       /* NULL-terminated NAME=VALUE; NULL: none */
  const char *const *assignments; /* NULL-terminated section.key=value from --set; NULL: none */
  const char *config_path; /* NULL: REFUNC_CONFIG of the environment, else $XDG_CONFIG_HOME/refunc/refunc.yaml
                              if it exists */
};

/* Loads all sources. Always gives a usable set: what is wrong is complained about and left out. NULL only
 * without memory. *errors receives the number of complaints. */
struct rf_options *rf_options_load(const struct rf_option_sources *sources, rf_option_complaint *complain,
                                   void *user, int *errors);
void rf_options_free(struct rf_options *options);

/* Typed values. Asking with the wrong type is a programming error and answers 0. */
bool rf_option_on(const struct rf_options *options, enum rf_option option);
int rf_option_choice(const struct rf_options *options,
                     enum rf_option option); /* index of the value in the option's list */
uint64_t rf_option_bytes(const struct rf_options *options, enum rf_option option);
uint64_t rf_option_number(const struct rf_options *options, enum rf_option option);
int64_t rf_option_ns(const struct rf_options *options, enum rf_option option);
double rf_option_ratio(const struct rf_options *options,
                       enum rf_option option); /* 0.05 for 5%; negative: off */
const char *rf_option_text(const struct rf_options *options, enum rf_option option); /* "" when not set */
size_t rf_option_list(const struct rf_options *options, enum rf_option option,
                      const struct rf_option_item **items);

size_t rf_option_functions(const struct rf_options *options, const struct rf_function_setting **settings);
size_t rf_option_spans(const struct rf_options *options, const struct rf_span_setting **settings);

/* For --help, refunc config, man pages. origin examples: "default", "preset full", "refunc.yaml:12",
 * "REFUNC_HEAP_MODE", "--set". */
const char *rf_option_key(enum rf_option option);         /* heap.mode */
const char *rf_option_environment(enum rf_option option); /* REFUNC_HEAP_MODE */
const char *rf_option_help(enum rf_option option);
const char *rf_option_values(enum rf_option option); /* counters|off|sampled|exact, SIZE, DURATION, ... */
const char *rf_option_default(enum rf_option option);
/* The effective value as text; lists joined with commas. The string lives as long as options. */
const char *rf_option_shown(const struct rf_options *options, enum rf_option option, const char **origin);

/* The config file that was read, or NULL. */
const char *rf_option_config_file(const struct rf_options *options);

/* The nearest of count names within a sensible edit distance, or NULL. */
const char *rf_nearest(const char *name, const char *const *names, size_t count);
