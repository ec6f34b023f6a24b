/*
 * The call record: what the entry knows of one call in flight, and where the return address waits meanwhile.
 * Records of a thread's own stack lie in chunks of 64 KB, aligned to their size; slot 0 of a chunk is its
 * header, which plays the record below the first one. Included by the assembly, so it holds plain numbers
 * first.
 */
#pragma once

#define RF_RECORD_BYTES 64
#define RF_RECORD_CHUNK 65536

#define RF_RECORD_RETURN 0    /* the caller's return address */
#define RF_RECORD_RBX 8       /* the caller's rbx */
#define RF_RECORD_POSITION 16 /* stack address of the return address; ~0: free, or not yet filled */
#define RF_RECORD_START 24    /* clock at entry */
#define RF_RECORD_SLOT 32
#define RF_RECORD_CHILD 40 /* time of traced callees, and what their probes cost */
#define RF_RECORD_BODY 48  /* relocated body; once it runs: the clock when an exception passed */
#define RF_RECORD_FLAGS 56
#define RF_RECORD_ID 60
#define RF_RECORD_WEIGHT_SHIFT 8 /* in flags */

#define RF_RECORD_RECURSIVE 32    /* of its function several calls have been in flight at once */
#define RF_RECORD_FLAG_CHECKED 64 /* rules wait for the result */

#define RF_RECORD_MEASURED 20 /* RF_RECORD_FULL, RF_RECORD_PACED: no more to a call's end than figures */

#define RF_SLOT_ENTERED 8
#define RF_SLOT_DEPTH 104
#define RF_SLOT_NEXT 108 /* flags and weight of the next timed call */
#define RF_THREAD_COUNTDOWNS 32

#define RF_OWN_STACK_SHIFT 15 /* 32 KB each */
#define RF_SITE_BYTES 16      /* rf_sites[id]: body, extra */

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

enum rf_record_flag {
  RF_RECORD_UNWOUND = 1,   /* an exception passed through; body holds when */
  RF_RECORD_FOREIGN = 2,   /* on a stack that is not the thread's own: allocated singly */
  RF_RECORD_FULL = 4,      /* measured by more than the clock: see trace/full.h */
  RF_RECORD_INHERITED = 8, /* in flight when the process was forked: the parent's call */
  RF_RECORD_PACED =
      16, /* under timing.budget; the bits above the low byte are the call's weight, 0 meaning 1 */
  RF_RECORD_CHECKED = RF_RECORD_FLAG_CHECKED, /* src/validate looks at the result */
  RF_RECORD_OWN = 128, /* of a function with a budget of its own; PACED, too: see trace/pace.h */
};

_Static_assert(RF_RECORD_MEASURED == (RF_RECORD_FULL | RF_RECORD_PACED), "the assembly counts on it");

struct rf_slot;
struct rf_thread;

struct rf_record {
  uintptr_t return_address, rbx;
  uintptr_t position;
  uint64_t start;
  struct rf_slot *slot;
  uint64_t child;
  uintptr_t body; /* or the end of an unwound call */
  uint32_t flags, id;
};

#define RF_RECORD_FREE UINTPTR_MAX

/* Slot 0 of a chunk. Its position is that of the record below the chunk (the stack's end for a first chunk),
 * so that the entry can compare without knowing where chunks end; its child takes what the chunk's first
 * record adds to its caller. */
struct rf_chunk_header {
  struct rf_chunk_header *previous, *next;
  uintptr_t position;
  struct rf_thread *thread;
  void *extras; /* struct rf_extra[1024], see trace/full.h; NULL until needed */
  uint64_t child;
  void *pending; /* what src/validate keeps of calls until they return; NULL until needed */
  uint64_t unused;
};
_Static_assert(sizeof(struct rf_chunk_header) == RF_RECORD_BYTES, "it plays a record");
_Static_assert(offsetof(struct rf_chunk_header, position) == RF_RECORD_POSITION, "it plays a record");
_Static_assert(offsetof(struct rf_chunk_header, child) == RF_RECORD_CHILD, "it plays a record");

_Static_assert(sizeof(struct rf_record) == RF_RECORD_BYTES, "the assembly counts on it");
_Static_assert(offsetof(struct rf_record, position) == RF_RECORD_POSITION, "the assembly counts on it");
_Static_assert(offsetof(struct rf_record, start) == RF_RECORD_START, "the assembly counts on it");
_Static_assert(offsetof(struct rf_record, slot) == RF_RECORD_SLOT, "the assembly counts on it");
_Static_assert(offsetof(struct rf_record, child) == RF_RECORD_CHILD, "the assembly counts on it");
_Static_assert(offsetof(struct rf_record, body) == RF_RECORD_BODY, "the assembly counts on it");
_Static_assert(offsetof(struct rf_record, flags) == RF_RECORD_FLAGS, "the assembly counts on it");
_Static_assert(offsetof(struct rf_record, id) == RF_RECORD_ID, "the assembly counts on it");
#endif
