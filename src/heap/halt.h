/*
 * All other threads of the process stand still for a moment, and show what their registers hold. A process
 * can't trace its own threads, so a helper does: a process of its own in this one's memory, which no wait()
 * of the app sees. No signal is sent, and system calls that wait go on waiting afterwards.
 *
 *   caller                              helper (clone, shares memory and descriptors)
 *   clone ────────────────────────────▶ seize and interrupt every thread, until no new one appears
 *   wait                                registers, stack pointers
 *   works on memory that does not move ◀ "they stand"
 *   end ──────────────────────────────▶ let them go, end;  so it does by itself when the caller takes too long
 *
 * The caller must not wait for anything that another thread may hold: no libc, no lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_halted {
  uint32_t tid;
  bool stands;        /* false: it does not answer, or can't be traced */
  int signal;         /* that was on its way to the thread when it stopped; 0: none */
  uintptr_t stack;    /* where what is used of its stack begins; 0: not known */
  size_t word, words; /* of its registers, in those of all */
};

struct rf_halt {
  struct rf_halted *thread; /* all threads but the caller's and the one left out */
  size_t threads;
  uintptr_t *word; /* of all their registers */
  size_t words;
  bool known;         /* thread[] is all there are */
  bool all;           /* and all of them stand */
  const char *reason; /* why not */

  int tasks; /* the rest is between caller and helper; tasks: /proc/self/task */
  uint32_t caller, left_out, state;
  uint32_t helper, alive; /* its number; the kernel zeroes the second one when it has ended */
  long refused;
  size_t most; /* room in thread */
  int64_t until_ns;
  char *stack;
};

/*
 * Halts all threads but this one and left_out (one of Refunc's; 0: none). At most limit_ns pass until they
 * stand, and 60 s until they go on by themselves. False: no memory. errno is kept. Not signal-safe.
 */
bool rf_halt_begin(struct rf_halt *halt, uint32_t left_out, int64_t limit_ns);
/* Lets them go on; what halt holds is gone. */
void rf_halt_end(struct rf_halt *halt);
