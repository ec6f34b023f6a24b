/*
 * POSIX extended regular expressions as a table of states, made at start: matching is one table look-up a
 * byte, needs no memory, no lock and no locale, and so may run inside malloc and signal handlers, where
 * libc's regexec may not. Bytes, not characters: in UTF-8 text . is one byte. No back references; an
 * expression that needs too many states is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_automaton; /* opaque, read-only once made */

/* NULL with one line in error. Lives as long as the process (rf_automaton_free gives it back earlier). */
struct rf_automaton *rf_automaton_new(const char *expression, char *error, size_t error_bytes);
void rf_automaton_free(struct rf_automaton *automaton);

/* Matching in pieces: begin with rf_automaton_start, feed bytes, ask. State 0 never matches any more, state 1
 * has matched. */
enum { RF_AUTOMATON_DEAD = 0, RF_AUTOMATON_MATCHED = 1 };
uint32_t rf_automaton_start(const struct rf_automaton *automaton);
uint32_t rf_automaton_feed(const struct rf_automaton *automaton, uint32_t state, const void *bytes,
                           size_t count);
bool rf_automaton_matches_here(const struct rf_automaton *automaton, uint32_t state); /* the text ends here */
