/*
 * Coming back from an assertion that fails inside a static library (libyaml, libiberty): their __assert_fail
 * is renamed to rf_assert_fail, which jumps back to where the library was entered instead of ending the app.
 *
 *   struct rf_recovery recovery;
 *   if (rf_recover(&recovery) == 0) { ... calls into the library ...; rf_recovered(&recovery); }
 *   else { ... it gave up; whatever it had allocated leaks ... }
 *
 * Compiler built-ins instead of setjmp, whose symbols the app or Refunc itself may hook. Variables changed
 * between the two must be volatile. In one thread, recoveries nest; a signal handler between them must not
 * call the library.
 */
#pragma once

struct rf_recovery {
  void *jump[5];
  struct rf_recovery *outer;
};

/* Makes recovery the point that this thread's failing assertions jump to. */
void rf_recovery_enter(struct rf_recovery *recovery);
/* Leaves it; the same place in the function that entered it. */
void rf_recovered(struct rf_recovery *recovery);

#define rf_recover(recovery) (rf_recovery_enter(recovery), __builtin_setjmp((recovery)->jump))

/* What the libraries' assert() calls. Without a recovery point on this thread there is nowhere to go: the
 * thread stops for good, the process goes on. */
void rf_assert_fail(const char *assertion, const char *file, unsigned line, const char *function)
    __attribute__((noreturn));
