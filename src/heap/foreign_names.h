/* The names by which functions of allocators are known; see foreign.h. */
#pragma once

#include <stdbool.h>

#include "heap/foreign.h"

struct rf_known_function {
  const char *name;
  uint8_t shape, size, block; /* as in struct rf_hook */
  bool essential;             /* nothing is hooked where this can't be */
};

/* A name is an optional prefix and the name of a function. */
struct rf_foreign_name {
  const struct rf_known_function *known; /* NULL: it is none of an allocator's */
  bool usable;                           /* it tells a block's size, as malloc_usable_size does */
  uint8_t prefix;                        /* below RF_PREFIXES; 0: none */
};
#define RF_PREFIXES 5

struct rf_foreign_name rf_foreign_look_up(const char *name);
/* The allocator that a prefix stands for. */
const char *rf_foreign_allocator(unsigned prefix);
/* libc's functions that take a block: RF_HOOK_BACK; NULL: it is none. */
const struct rf_known_function *rf_foreign_back(const char *name);
/* The allocator that a shared library of this name is; NULL: none. */
const char *rf_foreign_library(const char *file);
