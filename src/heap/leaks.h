/*
 * Which live blocks nothing leads to any more: a conservative mark, as leak checkers do it.
 *
 *   all other threads stand still (halt.h)
 *   roots (roots.h), registers ──▶ words that point into a block, or right behind it
 *                                        │ mark (mark.h)
 *                                  └──── the block's words ◀┘
 *
 * Where threads can't be halted, two looks must agree, and registers are not seen: the answer says so. In
 * sampled mode the blocks in between are not known, so everything the allocator holds is a root: what is said
 * to be lost is lost, but chains of lost blocks, and blocks that old memory still points to, are missed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_leaks {
  uint64_t blocks, bytes;           /* that were looked at; bytes: of memory */
  uint64_t lost_blocks, lost_bytes; /* in sampled mode estimates */
  uint32_t threads;                 /* others that were there */
  bool halted;                      /* and none of them ran meanwhile */
  const char *reason;               /* why not */
  int64_t duration_ns;              /* so long they stood still, or the check took */
};

/*
 * In exact and sampled mode: tells each site how much of it is lost now, and fills leaks. left_out: a thread
 * of Refunc's that may run on; 0: none. 0, -ENOMEM, -EIO (mappings can't be read), -ENODATA (jemalloc serves,
 * and not every block is known), -ENOTSUP (several allocators), -ETIME (more than 10 s; what sites were told
 * stays). One at a time. errno is kept; not signal-safe. Cost: reads the app's memory once, about 1 ns a word
 * and 50 ns a block.
 */
int rf_leaks_check(uint32_t left_out, struct rf_leaks *leaks);
