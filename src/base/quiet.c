/* See quiet.h. */
#include "base/quiet.h"

static bool quiet;

bool rf_quiet(void) { return __atomic_load_n(&quiet, __ATOMIC_RELAXED); }

void rf_quiet_begin(void) { __atomic_store_n(&quiet, true, __ATOMIC_SEQ_CST); }
