/*
 * What the tool and the library say to each other when a running process is to trace something else (refunc
 * trace):
 *
 *   tool: stops one thread, has it run the library's rf_change_serve(mailbox) on a stack of the library's own
 *   library: plans, leaves its answer and a list of edits, then waits
 *   tool: gives that thread its registers back, stops all threads, writes the edits, lets them go
 *
 * Nobody ever runs half-written code, and the library needs no thread for it.
 */
#pragma once

#include <stdint.h>

enum rf_change_kind { RF_CHANGE_ADD = 1, RF_CHANGE_REMOVE = 2 };
enum rf_change_state { RF_CHANGE_IDLE, RF_CHANGE_ASKED, RF_CHANGE_ANSWERED };
enum rf_change_result {
  RF_CHANGE_DONE,
  RF_CHANGE_BUSY,    /* not on this thread, or not now: it is inside the library or the loader */
  RF_CHANGE_REFUSED, /* text says why */
};

#define RF_CHANGE_JUMP 5 /* bytes at most */

/* Bytes of code to replace. A thread that stands at address + n goes on at moved[n]; 0: nobody can stand
 * there. */
struct rf_change_edit {
  uint64_t address;
  uint8_t count, before[RF_CHANGE_JUMP], after[RF_CHANGE_JUMP];
  uint8_t unused[5];
  uint64_t moved[RF_CHANGE_JUMP];
};

struct rf_change {
  uint32_t state, kind, result;
  uint32_t changed, unchanged, skipped; /* functions: now timed or no more; were so already; can't be timed */
  uint64_t edits, edit_count;           /* address of struct rf_change_edit[] */
  char pattern[4096];
  char text[1024]; /* why, or near names, a line each */
};
