/*
 * What Refunc knows of the running thread. Three words of initial-exec TLS lead to everything else:
 *
 *   rf_tls.self     ──▶ rf_no_thread, or struct rf_thread (private pages, wiped in a forked child)
 *                         ──▶ slots[function], recording entry
 *   rf_tls.top      ──▶ next free call record of this thread's stack (survives a fork: calls in flight return
 *                       through them)
 *   rf_tls.internal     > 0 while Refunc itself runs on this thread: mallocs that libc makes on its behalf come
 *                       from Refunc's heap, and traced functions are passed through
 *
 * The assembly entry knows the offsets below; src/trace/call.c holds it to them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_slot;
struct rf_thread_entry;
struct rf_heap_counters;
struct rf_heap_thread;
struct rf_edges;
struct rf_unwind_cache;

struct rf_thread {
  uint32_t slot_capacity; /* 0: new, wiped by a fork, or to look at its gaps: take the slow path */
  uint32_t tid;
  struct rf_slot **slots;          /* by function id; NULL: first call of it on this thread */
  uintptr_t stack_low, stack_high; /* the stack that libc or the kernel gave the thread */
  uintptr_t countdowns; /* distance from rf_no_countdowns to the thread's countdowns in the recording; 0:
                           wiped, none, or to look at its gaps */
  struct rf_thread_entry *entry;  /* in the recording; NULL: wiped */
  struct rf_slot **known_slots;   /* by function id, also those of the entry's earlier owners */
  uint32_t slot_room;             /* of slots and known_slots; slot_capacity, mostly */
  uintptr_t own_countdowns;       /* countdowns, mostly */
  char *first_chunk;              /* call records */
  struct rf_heap_counters *heap;  /* its entry's; NULL: the heap does not count on this thread (yet) */
  uint64_t heap_next;             /* an allocation that brings alloc_bytes above it is looked at closely */
  int64_t heap_watch, heap_floor; /* live bytes at which a mark or the process's sum must be moved */
  int64_t heap_high;              /* see recording/thread_heap.h */
  struct rf_thread *next;
  uint32_t index;                         /* of its entry */
  struct rf_unwind_cache *unwind, *walks; /* walks: of src/trace, which also wants the frames of the entry */
  uintptr_t tcb;                          /* the thread pointer */
  uintptr_t heap_moving; /* a tracked block that realloc has taken out of the table until it is done */
  struct rf_heap_thread *heap_private; /* sampling and site state of src/heap */
  uint64_t window_start, window_cost;  /* timing.budget, see trace/pace.h: cycles */
  uint64_t least_interval, random;
  uint32_t look_next;                /* the function whose gap is looked at next */
  uint64_t walk_cost, window_walks;  /* of a walk for callers, smoothed; of all in this window; in cycles:
                                        trace/callers_walk.h */
  uint32_t walk_scale;               /* doublings of the time that a walk stands for */
  bool thinning;                     /* some function's calls are not all timed */
  struct rf_edges *edges;            /* trace.edges: the pairs that this thread has met */
  void *validate_private;            /* pages that src/validate knows to be readable */
  const volatile uint32_t *cpu_page; /* trace/thread_clock.h: the lock word of the event's page; NULL: none */
  uint32_t cpu_lock;                 /* what it was at the anchor */
  uint64_t cpu_anchor, cpu_at_anchor, cpu_last; /* cycles; nanoseconds */
};

/* What rf_tls.self is before a thread is known: no capacity, no entry, no countdowns. */
extern struct rf_thread rf_no_thread __attribute__((visibility("hidden")));

struct rf_tls {
  struct rf_thread *self;
  char *top;
  uint32_t internal;
  uint32_t until_look; /* calls on descriptors until one is looked at again (preload/sockets.c) */
  uint32_t allocating; /* inside an allocator that is not to be entered twice (heap/jemalloc.c) */
};

extern __thread struct rf_tls rf_tls __attribute__((tls_model("initial-exec"), visibility("hidden")));

static inline void rf_internal_enter(void) { rf_tls.internal++; }
static inline void rf_internal_leave(void) { rf_tls.internal--; }
static inline bool rf_internal_depth(void) { return rf_tls.internal != 0; }
