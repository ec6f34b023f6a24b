/*
 * CPU time of the calling thread without a system call a read. The kernel shows a software event's page to
 * the thread, whose lock word advances whenever the thread is scheduled and stands still between: so
 *
 *   lock unchanged ─▶ CPU time = CPU time at the last reading + cycles since then
 *   lock changed, or 2^23 cycles later ─▶ one clock_gettime, to go on from
 *
 * General registers only, any thread, signal-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/entry.h"
#include "base/thread.h"

/* Once the rate of the cycle counter is known, and again in a forked child. usable: whether it runs at one
 * rate. */
void rf_thread_clock_start(double cycles_per_second, bool usable);
/* Gives the event of a thread that is gone back. */
void rf_thread_clock_close(struct rf_thread *thread);
/* The calling thread's CPU time from the kernel; opens its event if need be. */
RF_PRESERVE_ALL uint64_t rf_thread_clock_ask(struct rf_thread *thread);

/* In units of 2^-32; 0: cycles don't tell time here. */
extern uint64_t rf_nanoseconds_per_cycle __attribute__((visibility("hidden")));

/* Cycles: bounds what an inexact rate, and time stolen by a hypervisor, can add. */
#define RF_THREAD_CLOCK_STRETCH (1u << 23)

/* Nanoseconds of CPU time at now (the cycle counter's, just read); never less than before. Cost: about 3 ns,
 * a system call where there is no event. */
static inline uint64_t rf_thread_clock_read(struct rf_thread *thread, uint64_t now) {
  uint64_t since = now - thread->cpu_anchor, cpu;
  const volatile uint32_t *lock = thread->cpu_page;
  if (__builtin_expect(lock && *lock == thread->cpu_lock && since < RF_THREAD_CLOCK_STRETCH, 1))
    cpu = thread->cpu_at_anchor + (uint64_t)((unsigned __int128)since * rf_nanoseconds_per_cycle >> 32);
  else
    cpu = rf_thread_clock_ask(thread);
  if (cpu < thread->cpu_last) cpu = thread->cpu_last;
  return thread->cpu_last = cpu;
}
