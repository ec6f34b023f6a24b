/*
 * Signal stacks with little more than the kernel itself needs, on threads with the smallest stack there is: a handler's traced calls, the
 * very first of their thread among them, need no more room than untraced ones.
 * flags: -O2 -pthread
 * flags: -O2 -pthread -DBUSY
 * trace: in_handler, called, around
 * calls: in_handler 2000
 * calls: called 20000
 * expect: all(f["open"] == 0 and f["unwound"] == 0 for f in r.functions)
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "case.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

TRACED int called(int x) { LONG; return x + 1; }
TRACED int in_handler(int x) {
  for (int i = 0; i < 10; i++) x = called(x);
  return x;
}
static __thread volatile int result;
static void handler(int number) { (void)number, result = in_handler(result); }
TRACED int around(int x) { LONG; raise(SIGUSR1); return x; }

static void *run(void *unused) {
  size_t size = getauxval(AT_MINSIGSTKSZ), page = 4096;
  size = ((size ? size : 2048) + 1024 + page - 1) & ~(page - 1);
  char *map = mmap(0, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* nothing above it or below */
  REQUIRE(map != MAP_FAILED && !mprotect(map + page, size, PROT_READ | PROT_WRITE));
  size_t room = getauxval(AT_MINSIGSTKSZ) ? getauxval(AT_MINSIGSTKSZ) + 1024 : size;
  stack_t stack = {.ss_sp = map + page, .ss_size = room}, none = {.ss_flags = SS_DISABLE};
  REQUIRE(!sigaltstack(&stack, 0));
  for (int i = 0; i < 100; i++) {
#ifdef BUSY
    REQUIRE(around(i) == i);
#else
    raise(SIGUSR1);
#endif
  }
  REQUIRE(result == 1000);
  sigaltstack(&none, 0);
  munmap(map, size + 2 * page);
  return unused;
}

int main(void) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
  sigaction(SIGUSR1, &action, 0);
  for (int i = 0; i < 20; i++) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    REQUIRE(!pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN));
    REQUIRE(!pthread_create(&thread, &attributes, run, 0));
    pthread_join(thread, 0);
  }
}
