/* functions: and spans: of the configuration, gathered by pattern and parsed as far as that goes without
 * types. */
#pragma once

#include "base/options.h"
#include "validate/language.h"
#include "validate/spans.h"

/* The rules of one parameter. */
struct rf_rule_setting {
  const char *key, *full_key, *origin; /* "x", "functions.f.args.x" */
  struct rf_rules rules;
  bool complained; /* it does not fit a function; said once */
};

/* Where a span begins or ends. */
struct rf_span_end_setting {
  struct rf_span_setting_all *span;
  bool begin, on_return, has_condition;
  struct rf_path key;
  struct rf_condition condition;
  const char *full_key, *origin;
  bool complained;
};

struct rf_span_setting_all {
  struct rf_span_plan plan;
  const char *function[2], *key[2], *at[2], *when[2], *origin[2]; /* begin, end */
  struct rf_span *span;
  struct rf_span_end_setting point[2];
};

/* All that one pattern asks for. */
struct rf_rule_set {
  const char *pattern, *origin;
  struct rf_rule_setting *rule;
  size_t rules, capacity;
  const char *signature, *signature_origin;
  bool types_complained, signature_complained, has_reaction, reaction_complained;
  struct rf_on_violation reaction;
  const char *reaction_origin;
  int64_t keep_ns; /* 0: nothing is kept */
  uint64_t after;
  struct rf_span_end_setting **point;
  size_t points, point_capacity;
};

struct rf_rule_sets {
  struct rf_pool pool;
  struct rf_rule_set *set;
  size_t sets, capacity;
  struct rf_span_setting_all **span;
  size_t spans, span_capacity;
  void (*complain)(void *user, const char *message);
  void *user;
  int complaints;
};

/* Reads them all; sets->complain is set by the caller. */
void rf_rule_sets_read(struct rf_rule_sets *sets, const struct rf_options *options);
/* "origin: key: what" */
void rf_rule_sets_complain(struct rf_rule_sets *sets, const char *origin, const char *key, const char *format,
                           ...) __attribute__((format(printf, 4, 5)));
