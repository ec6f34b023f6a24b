/* Everything that is done at the calls of one function, beyond timing it: rules, spans, slow calls that are
 * kept. Read-only while it is used. */
#pragma once

#include "recording/format.h"
#include "validate/evaluate.h"
#include "validate/spans.h"

/* Ends the process with its report saved. */
typedef void rf_violation_abort(void);

/* What "call PLUGIN:FUNCTION" is told. size: of this struct as the caller knows it. */
struct rf_violation_info {
  size_t size;
  const char *function, *parameter, *rule;
  int kind; /* of the value, as in struct rf_validator_value */
  int64_t integer;
  double real;
  uint64_t index;      /* of the first bad element */
  const void *address; /* of what can't be read, or of a string */
  const char *message; /* a validator's words, or "" */
};
typedef void rf_violation_callback(const struct rf_violation_info *info);

struct rf_span_point {
  struct rf_span *span;
  bool begin, on_return, has_condition;
  struct rf_scalar key;
  struct rf_check condition;
};

struct rf_keep {
  struct rf_kept_entry *entry; /* NULL: nothing is kept */
  uint64_t threshold;
  uint8_t arguments;
  struct rf_scalar argument[RF_KEPT_ARGUMENTS];
};

struct rf_checker {
  uint32_t id;
  const char *function;
  struct rf_check *on_entry, *on_return;
  uint32_t entry_count, return_count;
  struct rf_span_point *points;
  uint32_t point_count;
  bool needs_return;   /* the arguments are kept until the call returns */
  uint8_t stack_words; /* of the stack arguments, to be kept with them */
  enum rf_reaction reaction;
  struct rf_substitute substitute;
  rf_violation_callback *callback;
  uint64_t after, seen; /* the first calls are passed over: counted, but neither timed nor looked at */
  struct rf_keep keep;
};

/* violations.c: counts, and keeps an example of the first ones. Any thread, signal-safe, general registers
 * only. */
void rf_violation_note(const struct rf_checker *checker, const struct rf_check *check,
                       const struct rf_finding *finding);
void rf_violation_unchecked(const struct rf_check *check);
void rf_violation_callback_run(const struct rf_checker *checker, const struct rf_check *check,
                               const struct rf_finding *finding);
void rf_violation_set_abort(rf_violation_abort *function);
void rf_violation_end_process(void);

/* call.c: before a function with after is called, and in a forked child with a new recording. */
void rf_passed_over_start(void);

/* keep.c: offers a call that took so long. */
void rf_keep_offer(const struct rf_checker *checker, uint64_t duration, uint64_t now,
                   const struct rf_call *call);
