/*
 * Threads, found when they first need it (a timed call, an allocation): no pthread_create is interposed, so
 * thrd_create and raw clones count too. Each has private state (struct rf_thread) and an entry in the
 * recording; both go to the next new thread once their owner is gone.
 *
 * In a forked child the registry is wiped (MADV_WIPEONFORK), whichever way it was forked: the first
 * rf_thread_get() there calls the fork hook, which makes the child a recording of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/thread.h"

struct rf_thread_hooks {
  /* Called in a forked child by whoever first needs its thread, signals blocked; answers whether the child is
   * recorded. */
  bool (*forked)(void);
  /* A dead thread's state is about to go to this thread, or the process ends. */
  void (*taken_over)(struct rf_thread *thread);
};

/* Before the first thread is registered. */
bool rf_threads_start(const struct rf_thread_hooks *hooks);

/* In a forked child, once its recording exists: an empty registry again. */
void rf_threads_restart(void);

/*
 * Countdowns for counting stubs (timing.budget): every thread's block has so many, and threads that have no
 * block, or a wiped one, find rf_no_countdowns instead: all at or under 0, in the lowest 2 GB, where a stub's
 * displacement reaches. 0: no counting stubs.
 */
extern uint32_t rf_countdown_capacity;
extern int64_t *rf_no_countdowns;
/* Maps rf_no_countdowns for most functions; false when there is no room for it. */
bool rf_countdowns_start(uint32_t most);
/* From now on that many: gives them to the threads registered so far. Before any counting stub can run. */
void rf_countdowns_settle(uint32_t capacity);

/*
 * Has each thread's next call of any function that is counted or timed take the slow path, which looks at the
 * thread's gaps (trace/pace.h). Two stores a thread, made by the sampler, so neither libc nor TLS is touched.
 * rf_threads_look_wanted() tells the thread and takes the wish back.
 */
void rf_threads_want_look(void);
bool rf_threads_look_wanted(struct rf_thread *thread);

/* This thread's state, registered if it is new; NULL when nothing is recorded or memory ran out. Signal-safe:
 * blocks signals while it registers. Cost: a TLS load; about 10 us for a new thread. */
struct rf_thread *rf_thread_get(void);

/* Whether this process is a forked child that has not been given a recording yet. */
bool rf_threads_forked(void);

/* From now on threads are told that nothing is recorded (a child that shall not be followed). */
void rf_threads_silence(void);

/* Room for at least count functions in this thread's slot tables; false without memory. Signals blocked by
 * the caller. */
bool rf_thread_reserve_slots(struct rf_thread *thread, uint32_t count);

/* At the end: settles the threads whose owners are gone, as if they were taken over. Cost: a system call a
 * thread. */
void rf_threads_settle(void);

/* All threads ever registered, newest first; for summing up. */
struct rf_thread *rf_threads_first(void);
