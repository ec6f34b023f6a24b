/*
 * Five thousand short threads, twenty at a time: all calls counted, the recording as small as with twenty.
 * flags: -O2 -pthread
 * trace: brief
 * option: timing.budget=off
 * calls: brief 50000
 * expect: sum(count for _, count in r.function("brief")["histogram"]) == 50000
 * expect: r["self"]["memory_bytes"] < 64 << 20
 */
#include <pthread.h>

#include "case.h"

TRACED int brief(int x) { LONG; return x + 1; }
static void *run(void *x) {
  for (int i = 0; i < 10; i++) REQUIRE(brief(i) == i + 1);
  return x;
}

int main(void) {
  for (int round = 0; round < 250; round++) {
    pthread_t threads[20];
    for (int i = 0; i < 20; i++) REQUIRE(!pthread_create(&threads[i], 0, run, 0));
    for (int i = 0; i < 20; i++) pthread_join(threads[i], 0);
  }
}
