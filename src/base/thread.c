/* See thread.h. */
#include "base/thread.h"

__thread struct rf_tls rf_tls;
