/* The definitions behind ours: what an interposed function calls in the end. */
#pragma once

#include <dlfcn.h>

#include "base/thread.h"

/* Looks a symbol up once. place: a static pointer of the caller. Not in a signal handler the first time. */
static inline void *rf_next(void **place, const char *name) {
  void *found = __atomic_load_n(place, __ATOMIC_RELAXED);
  if (found) return found;
  rf_internal_enter();
  found = dlsym(RTLD_NEXT, name);
  rf_internal_leave();
  __atomic_store_n(place, found, __ATOMIC_RELAXED);
  return found;
}

/* The next function of this name, with this one's type. */
#define NEXT(function)                                                                                       \
  ({                                                                                                         \
    static void *place;                                                                                      \
    (__typeof__(&function))rf_next(&place, #function);                                                       \
  })
