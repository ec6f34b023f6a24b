/* Where it begins: linked -z initfirst, so before the constructors of any other library and before they start
 * threads. */
#include <stdio.h>

#include "elf/loader.h"
#include "heap/counters.h"
#include "preload/environment.h"
#include "preload/mappings.h"
#include "preload/sockets.h"
#include "session/session.h"

/*
 * A sanitizer's runtime inside the executable puts its own functions before libc's, also for us, and starts
 * itself from .preinit_array, which comes after initfirst libraries: so that is run here first. A runtime
 * starts once only, however often it is asked.
 */
static void start_interceptors(int argc, char **argv, char **envp) {
  if (rf_loader_in_program((const void *)snprintf)) rf_loader_run_preinit(argc, argv, envp);
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp) {
  start_interceptors(argc, argv, envp);
  rf_session_start(argc, argv, envp);
  rf_mappings_find();
  if (!rf_session_active()) rf_heap_start(false);
  rf_sockets_start(rf_session_counts_network());
  if (rf_session_follows_children()) rf_environment_keep(envp);
}
