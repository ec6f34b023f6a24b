/*
 * See clocks.h. The vDSO's clock_gettime is called directly: libc's may itself be timed. It is found once, by
 * its symbol.
 */
#include "trace/clocks.h"

#include <string.h>
#include <time.h>

#include "arch/arch.h"
#include "elf/module.h"
#include "trace/full.h"

static int (*fast_clock)(clockid_t clock, struct timespec *now);

static bool find_symbol(void *user, const struct rf_symbol *symbol) {
  (void)user;
  if (strcmp(symbol->name, "__vdso_clock_gettime") != 0) return true;
  fast_clock = (int (*)(clockid_t, struct timespec *))symbol->address;
  return false;
}

static bool find_module(void *user, const struct rf_module *module) {
  (void)user;
  if (module->name[0] != '[' && strncmp(module->name, "linux-vdso", 10) != 0) return true;
  rf_symbols_visit(module, find_symbol, NULL, NULL);
  return !fast_clock;
}

void rf_full_start(void) {
  if (!fast_clock) rf_modules_visit(find_module, NULL);
}

RF_PRESERVE_ALL uint64_t rf_clock_read(enum rf_clock_mode mode) {
  static const clockid_t clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_PROCESS_CPUTIME_ID,
                                     CLOCK_THREAD_CPUTIME_ID};
  struct timespec now;
  bool cheap = fast_clock && mode == RF_CLOCK_WALL;
  long failed = cheap ? fast_clock(CLOCK_REALTIME, &now) : rf_syscall(SYS_clock_gettime, clocks[mode], &now);
  return failed ? 0 : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
