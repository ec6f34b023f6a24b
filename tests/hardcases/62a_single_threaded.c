/*
 * A program with one thread stays single-threaded to libc, whose fast paths depend on it.
 * flags: -O2
 * option: refunc.preset=full
 * trace: work
 * calls: work 100
 */
#include <sys/single_threaded.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) { LONG; return x + 1; }

int main(void) {
  for (int i = 0; i < 100; i++) {
    REQUIRE(work(i) == i + 1);
    usleep(3000);
  }
  REQUIRE(__libc_single_threaded);
}
