/*
 * Builds that carry somebody's instrumentation already: -pg, -mfentry, patchable entries, -finstrument-functions.
 * flags: -O2 -pg
 * flags: -O2 -pg -mfentry
 * flags: -O2 -fpatchable-function-entry=5
 * flags: -O2 -fpatchable-function-entry=16,14
 * flags: -O2 -finstrument-functions
 * flags: -O0 -finstrument-functions
 * flags: -O2 -fPIC -shared-libgcc -finstrument-functions
 * flags: -O2 -no-pie -fno-pie -finstrument-functions
 * flags: -O2 -fsanitize=undefined
 * flags: -O2 -fstack-protector-all -fstack-clash-protection
 * trace: worked
 * calls: worked 100
 */
#include "case.h"

__attribute__((no_instrument_function, noipa)) void __cyg_profile_func_enter(void *function, void *site) {}
__attribute__((no_instrument_function, noipa)) void __cyg_profile_func_exit(void *function, void *site) {}

TRACED int worked(int x) {
  volatile int y = x;
  return y + 1;
}

int main(void) {
  for (int i = 0; i < 100; i++) REQUIRE(worked(i) == i + 1);
}
