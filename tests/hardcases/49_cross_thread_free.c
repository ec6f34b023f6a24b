/*
 * Blocks freed by another thread than the one that allocated them, their addresses reused at once: nothing goes negative.
 * flags: -O2 -pthread
 * option: heap.mode=exact
 * expect: 0 <= r["heap"]["live_bytes"] < 1000000
 * expect: 0 <= r["heap"]["live_blocks"] < 1000
 * expect: r["heap"]["alloc_calls"] >= 400000
 * expect: r["heap"]["free_calls"] <= r["heap"]["alloc_calls"]
 * expect: r["heap"]["peak_bytes"] < 30000000
 * expect: all(site["live_bytes"] >= 0 and site["live_blocks"] >= 0 for site in r["heap"].get("sites") or [])
 */
#include <pthread.h>
#include <stdatomic.h>

#include "case.h"

enum { SLOTS = 1024, BLOCKS = 200000 };
static _Atomic(void *) slot[2][SLOTS];

static void *run(void *which) {
  long mine = (long)which;
  unsigned state = (unsigned)mine + 1;
  for (int i = 0; i < BLOCKS; i++) {
    state = state * 1664525 + 1013904223;
    void *block = malloc(16 + state % 500);
    *(char *)block = 1;
    free(atomic_exchange(&slot[mine][i % SLOTS], block));
    free(atomic_exchange(&slot[1 - mine][state % SLOTS], NULL));
  }
  return NULL;
}

int main(void) {
  pthread_t threads[2];
  for (long i = 0; i < 2; i++) pthread_create(&threads[i], 0, run, (void *)i);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
  for (int i = 0; i < 2 * SLOTS; i++) free(slot[i / SLOTS][i % SLOTS]);
}
