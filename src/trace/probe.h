/* What a probe costs, measured at start on the very code that times calls, to be taken out of the figures and
 * stated. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_probe_cost {
  uint32_t clock;   /* one clock read, in cycles */
  uint32_t inside;  /* what the probe adds to a timed duration */
  uint32_t outside; /* what it costs the caller beyond that */
};

/* Before any function is selected (it borrows id 0); needs a recording and this thread registered. plain: of
 * calls that need nothing but the time (rf_exit_plain), not of those under a budget. Cost: about 50 us. */
struct rf_probe_cost rf_probe_measure(bool plain);

/* The same of a function whose calls are looked at by a checker of src/validate, in cycles a call. Cost:
 * about 100 us. */
struct rf_probe_checked {
  uint32_t whole; /* inside and outside together */
  uint32_t noted; /* what the slot's rules_cycles say of it */
};
struct rf_probe_checked rf_probe_measure_checked(const void *checker);
