/*
 * The rule language: text into rules, nothing known yet of types or places.
 *
 *   rules   = rule { ";" rule }
 *   rule    = "not null" | "null" | "finite" | "utf8" | "max length" NUMBER | "matches" "/" RE "/"
 *           | "in" ( range | "{" NUMBER { "," NUMBER } "}" )
 *           | ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) product
 *           | "length" product | "validator" NAME | "on entry" | "on return"
 *   range   = NUMBER ".." NUMBER | NUMBER ".." | ".." NUMBER
 *   product = operand { "*" operand }            operand = NUMBER | path
 *   path    = NAME { "->" NAME | "." NAME | "[" NUMBER "]" }
 *
 * Used at start and by the tool; not signal-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "validate/number.h"

#define RF_PATH_STEPS 6
#define RF_PRODUCT_TERMS 4

enum rf_rule_kind {
  RF_RULE_NOT_NULL,
  RF_RULE_NULL,
  RF_RULE_FINITE,
  RF_RULE_IN_RANGE,
  RF_RULE_IN_SET,
  RF_RULE_COMPARE,
  RF_RULE_LENGTH,
  RF_RULE_UTF8,
  RF_RULE_MAX_LENGTH,
  RF_RULE_MATCHES,
  RF_RULE_VALIDATOR
};

enum rf_relation { RF_EQUAL, RF_NOT_EQUAL, RF_LESS, RF_AT_MOST, RF_MORE, RF_AT_LEAST };

/* cfg->inner.weight[3]: the parameter's name and what follows it. */
struct rf_path_step {
  enum { RF_STEP_ARROW, RF_STEP_FIELD, RF_STEP_INDEX } kind;
  const char *name;
  uint64_t index;
};
struct rf_path {
  const char *root;
  struct rf_path_step step[RF_PATH_STEPS];
  size_t steps;
};

/* A number, or a path where path.root is not NULL. */
struct rf_operand_text {
  struct rf_number number;
  struct rf_path path;
};

struct rf_rule {
  enum rf_rule_kind kind;
  bool on_return;
  const char *text; /* as written, one space between words */
  enum rf_relation relation;
  bool has_low, has_high;
  struct rf_number low, high, *set;
  size_t set_count;
  struct rf_operand_text term[RF_PRODUCT_TERMS];
  size_t terms;
  const char *name; /* of the validator; the expression of matches */
};

struct rf_rules {
  struct rf_rule *rule;
  size_t count;
};

/* Reads the rules of one parameter. false, with one line in error that says what is wrong and what would be
 * right; the rules lie in pool. */
bool rf_rules_parse(const char *text, struct rf_pool *pool, struct rf_rules *rules, char *error,
                    size_t error_bytes);
/* Reads a path, up to its end or, with rest, up to what can't belong to it. */
bool rf_path_parse(const char *text, struct rf_pool *pool, struct rf_path *path, const char **rest,
                   char *error, size_t error_bytes);

/* What happens when a rule is violated. */
enum rf_reaction { RF_REACT_REPORT, RF_REACT_ABORT, RF_REACT_RETURN, RF_REACT_CALL };
struct rf_on_violation {
  enum rf_reaction reaction;
  struct rf_number value; /* return VALUE */
  int error;              /* errno NAME; 0: errno stays */
  const char *plugin, *function;
};
bool rf_reaction_parse(const char *text, struct rf_pool *pool, struct rf_on_violation *reaction, char *error,
                       size_t error_bytes);

/* result > 0: a path, a relation, a product; a condition of spans. */
struct rf_condition {
  struct rf_path path;
  enum rf_relation relation;
  struct rf_rule rule; /* the comparison */
};
bool rf_condition_parse(const char *text, struct rf_pool *pool, struct rf_condition *condition, char *error,
                        size_t error_bytes);
