/*
 * Spans: from a begin to the end with the same key, on any thread. What is in flight lies in a table of
 * buckets, without locks:
 *
 *   key ─hash─▶ bucket of 8 places ─(spilled)─▶ the next bucket ...
 *
 * A place goes free ─▶ busy ─▶ taken ─▶ busy ─▶ free by compare-and-swap, so signal handlers may do what they
 * interrupted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_span; /* opaque */

enum rf_span_duplicate { RF_SPAN_RESTART, RF_SPAN_KEEP, RF_SPAN_QUEUE };

struct rf_span_plan {
  const char *name, *begin, *end; /* begin, end: as configured, for the report */
  enum rf_span_duplicate duplicate;
  uint64_t in_flight; /* the most that are open at once; 0: 65536 */
};

/* Makes a span and its entry in the recording. The strings must stay. NULL without memory. Not signal-safe.
 */
struct rf_span *rf_span_new(const struct rf_span_plan *plan);
/* The span of a name, made when it is new; for the C API. Any thread, not in signal handlers. */
struct rf_span *rf_span_named(const char *name);
/* In a forked child with a new recording: all spans again, nothing in flight. */
void rf_spans_record_again(void);

/* now: cycles. Any thread, signal-safe, general registers only. Cost: about 30 ns; 100 ns at the end. */
void rf_span_begin(struct rf_span *span, uint64_t key, uint64_t now);
/* false: nothing with this key is open. */
bool rf_span_end(struct rf_span *span, uint64_t key, uint64_t now);
/* A key could not be read. */
void rf_span_drop(struct rf_span *span);
