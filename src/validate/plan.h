/*
 * Rules as they are at a call: nothing to parse, nothing to look up. compile.c makes them from rules and
 * types; evaluate.c goes through them with general registers only.
 *
 *   locator    where a value lies: in what the entry saved, or among the stack arguments; then pointers to follow
 *   scalar     a locator and how to read what is there
 *   check      one rule: most are "the value's key lies in [low, high]", since signed, unsigned and floating values
 *              all have keys that order like integers (number.h)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/arguments.h"
#include "validate/automaton.h"
#include "validate/language.h"
#include "validate/type.h"

#define RF_HOPS (RF_PATH_STEPS + 2)

struct rf_locator {
  uint8_t base; /* enum rf_place_kind */
  uint8_t hops;
  int32_t start;
  int32_t hop[RF_HOPS]; /* follow the pointer that lies here, then add this */
};

struct rf_scalar {
  struct rf_locator at;
  uint8_t kind; /* enum rf_number_kind */
  uint8_t size; /* bytes; 10 of an extended double lie in 16 */
  uint8_t bits, first_bit;
};

/* A product of numbers of the call, e.g. a length. */
struct rf_product {
  uint8_t factors;
  bool constant[RF_PRODUCT_TERMS];
  struct rf_number number[RF_PRODUCT_TERMS];
  struct rf_scalar scalar[RF_PRODUCT_TERMS];
};

enum rf_check_kind {
  RF_CHECK_INTERVAL,
  RF_CHECK_SET,
  RF_CHECK_COMPARE,
  RF_CHECK_READABLE,
  RF_CHECK_STRING,
  RF_CHECK_VALIDATOR
};

struct rf_validator_slot;
struct rf_violation_entry;

struct rf_check {
  enum rf_check_kind kind;
  bool outside;  /* INTERVAL: violated inside instead */
  bool elements; /* the subject is the first of length elements */
  bool on_return;
  bool guards;              /* when it is violated, the rest of its group makes no sense (not null) */
  uint8_t group;            /* rules of one parameter */
  uint8_t screens;          /* INTERVAL over elements: this and so many more are first tried together, within
                               screen_low..screen_high */
  uint8_t relation;         /* COMPARE */
  struct rf_scalar subject; /* of elements: the first; its hops end at the first element */
  uint32_t stride;
  struct rf_product length;
  int64_t low, high, screen_low, screen_high;
  const int64_t *set;
  uint32_t set_count;
  struct rf_product other;
  /* STRING */
  bool utf8, has_most;
  uint64_t most;
  const struct rf_automaton *automaton;
  const struct rf_validator_slot *validator;
  /* what the report says */
  const char *parameter, *rule;
  struct rf_violation_entry *entry;
};

struct rf_checks {
  struct rf_check *check;
  size_t count, capacity;
};

/* What compiling needs to know around a function. */
struct rf_compiler {
  struct rf_pool *pool;
  const struct rf_signature *signature; /* NULL: no types; arg1 to arg6 are then integer registers */
  char *error;
  size_t error_bytes;
};

/* Adds the checks of one key ("x", "cfg->lr", "return") to checks. false, with one line in error; then none
 * were added. */
bool rf_compile_rules(struct rf_compiler *compiler, const char *key, const struct rf_rules *rules,
                      struct rf_checks *checks);
/* A number of the call by its path ("arg1", "request->id", "return"). */
bool rf_compile_scalar(struct rf_compiler *compiler, const struct rf_path *path, struct rf_scalar *scalar);
/* A condition "result > 0" as one check. */
bool rf_compile_condition(struct rf_compiler *compiler, const struct rf_condition *condition,
                          struct rf_check *check);
/* The result that "return VALUE" gives: verdict and bits. */
struct rf_substitute {
  uint64_t verdict, bits[2];
  int error;
};
bool rf_compile_substitute(struct rf_compiler *compiler, const struct rf_on_violation *reaction,
                           struct rf_substitute *substitute);
