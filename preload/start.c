/* Where it begins: linked -z initfirst, so before the constructors of any other library and before they start threads. */
#include "preload/environment.h"
#include "session/session.h"

__attribute__((constructor)) static void start(int argc, char **argv, char **envp) {
  rf_session_start(argc, argv, envp);
  if (rf_session_follows_children()) rf_environment_keep(envp);
}
