/*
 * Functions that Refunc itself may use, timed: memcpy and relatives, clock_gettime, write, pthread_*, malloc.
 * flags: -O2 -pthread -fno-builtin
 * option: timing.budget=off
 * trace: libc.so.6!mem*, libc.so.6!str*, libc.so.6!clock_gettime, libc.so.6!write, libc.so.6!pthread_*, libc.so.6!*alloc*, libc.so.6!free
 * trace: libc.so.6!open*, libc.so.6!mmap*, libc.so.6!munmap, libc.so.6!syscall, libc.so.6!nanosleep, libc.so.6!sig*
 * expect: r.calls("memcpy") >= 1000 or r.skipped("memcpy") or any("memcpy" in f["name"] for f in r.functions)
 * expect: sum(f["calls"] for f in r.functions) > 4000
 */
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "case.h"

static void *run(void *unused) {
  char from[300], to[300];
  struct timespec time;
  for (int i = 0; i < 1000; i++) {
    memset(from, i, sizeof from);
    memcpy(to, from, sizeof to);
    REQUIRE(!memcmp(from, to, sizeof to));
    clock_gettime(CLOCK_MONOTONIC, &time);
    void *block = malloc((size_t)i + 1);
    REQUIRE(block);
    block = realloc(block, (size_t)i * 2 + 1);
    free(block);
  }
  return unused;
}

int main(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) REQUIRE(!pthread_create(&threads[i], 0, run, 0));
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  REQUIRE(write(1, "done\n", 5) == 5);
}
