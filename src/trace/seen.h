/* The modules that sweeps have met, to tell which are new and which are gone. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_module;

struct rf_seen {
  uintptr_t load_address, text_start, text_end;
  char *path;
  uint32_t first_sweep, sweep; /* the first and the last one that met it */
  bool waiting;                /* it has IFUNCs that could not be resolved yet */
  bool swept;
};

/* Begins a sweep: meets all modules that are loaded now. */
void rf_seen_meet(void);
/* Tells forget of those that are gone, and forgets them. */
void rf_seen_forget_closed(void (*forget)(const struct rf_seen *seen));
/* NULL: the sweep has not met it. Until the next sweep. */
struct rf_seen *rf_seen_find(const struct rf_module *module);
/* Whether this sweep is its first; whether the process began with it. */
bool rf_seen_is_new(const struct rf_seen *seen);
bool rf_seen_is_initial(const struct rf_seen *seen);
/* In a sweep of new modules that are relocated: whether none of its code has run yet. */
bool rf_seen_is_quiet(const struct rf_seen *seen);
/* For a sweep of nobody's making but the user's: the newest may be in the loader's hands still. */
bool rf_seen_is_settled(const struct rf_seen *seen);
