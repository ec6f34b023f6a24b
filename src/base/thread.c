/* See thread.h. */
#include "base/thread.h"

struct rf_thread rf_no_thread;
__thread struct rf_tls rf_tls = {.self = &rf_no_thread};
