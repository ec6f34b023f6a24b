/* What feeding one symbol to many rf_nearest_names at once needs of them; pattern.h has the rest. */
#pragma once

#include "elf/nearest_filter.h"
#include "elf/pattern.h"
#include "elf/spellings.h"

#define RF_NEAREST_NAME 400 /* longer names are not compared */

struct rf_nearest_target rf_nearest_target_of(const struct rf_nearest_names *nearest);
/* Edits beyond which a name that is not mangled is not kept any more. */
int rf_nearest_limit_now(const struct rf_nearest_names *nearest);

/* The next component of a mangled name that may be one (3run: a number that so many bytes follow) from *at
 * on, which moves behind the number. */
bool rf_nearest_next_component(const char **at, const char *end, const char **name, size_t *length);
/* Whether a component is near the target's last one. */
bool rf_nearest_component(const struct rf_nearest_names *nearest, const char *name, size_t length);

/* Keeps a name if it is among the nearest. */
void rf_nearest_take_plain(struct rf_nearest_names *nearest, const char *symbol, size_t length);
void rf_nearest_take_spelled(struct rf_nearest_names *nearest, const struct rf_spellings *spellings);
