/*
 * Threads with the smallest stack there is, whose very first traced call happens near its end.
 * flags: -O2 -pthread
 * trace: near_the_end, called
 * calls: near_the_end 50
 * calls: called 500
 */
#include <limits.h>
#include <pthread.h>

#include "case.h"

TRACED int called(int x) { LONG; return x + 1; }
TRACED int near_the_end(int x) {
  volatile char used[6000];
  for (unsigned i = 0; i < sizeof used; i += 64) used[i] = (char)i;
  for (int i = 0; i < 10; i++) x = called(x);
  return x + used[64] - 64;
}
static void *run(void *x) { return (void *)(long)near_the_end((int)(long)x); }

int main(void) {
  for (int i = 0; i < 50; i++) {
    pthread_attr_t attributes;
    pthread_t thread;
    void *result;
    pthread_attr_init(&attributes);
    REQUIRE(!pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN));
    REQUIRE(!pthread_create(&thread, &attributes, run, (void *)(long)i));
    pthread_join(thread, &result);
    REQUIRE((long)result == i + 10);
  }
}
