/* Going through the checks of a call. General registers only; any thread, signal-safe, errno is kept. */
#pragma once

#include "validate/plan.h"
#include "validate/validators.h"

/* A call as rules see it. */
struct rf_call {
  const struct rf_saved_call *saved;
  uintptr_t stack; /* the first stack argument */
};

enum rf_finding_flag {
  RF_FINDING_INDEX = 1,      /* index holds */
  RF_FINDING_UNREADABLE = 2, /* address can't be read */
  RF_FINDING_ENDLESS = 4,    /* a string without an end */
  RF_FINDING_TEXT = 8,       /* address is where a string begins, index its length */
  RF_FINDING_MESSAGE = 16    /* message has a validator's words */
};

/* What was found wrong. */
struct rf_finding {
  struct rf_number value;
  uint64_t index;
  uintptr_t address;
  uint32_t flags; /* enum rf_finding_flag */
  char message[RF_MESSAGE_BYTES];
};

enum rf_outcome { RF_GOOD, RF_VIOLATED, RF_UNCHECKED };

typedef void rf_found(void *user, const struct rf_check *check, const struct rf_finding *finding);

/* Calls found for each violated check, and with finding NULL for each that could not be looked at; answers
 * how many are violated. */
uint32_t rf_checks_run(const struct rf_check *check, uint32_t count, const struct rf_call *call,
                       rf_found *found, void *user);
enum rf_outcome rf_check_run(const struct rf_check *check, const struct rf_call *call,
                             struct rf_finding *finding);
/* A number of the call. */
enum rf_outcome rf_scalar_read(const struct rf_scalar *scalar, const struct rf_call *call,
                               struct rf_number *number, uintptr_t *bad);
