/*
 * swapcontext coroutines interleaved on one thread, one moved to another thread, one abandoned in the middle of a call.
 * flags: -O2 -pthread
 * flags: -O0 -pthread
 * trace: part, yielding
 * option: timing.budget=off
 * calls: yielding 33
 * calls: part 3200
 * expect: r.function("yielding")["unwound"] + r.function("yielding")["open"] == 1
 */
#include <pthread.h>
#include <ucontext.h>

#include "case.h"

enum { COROUTINES = 32, STEPS = 100 };
static ucontext_t scheduler[2], coroutine[COROUTINES + 1];
static int at, where, done;
static long total;

TRACED int part(int n) { return n + 1; }

TRACED void yielding(int self) {
  for (int i = 0; i < STEPS; i++) {
    if (self < COROUTINES) total += part(i);
    swapcontext(&coroutine[self], &scheduler[where]);
  }
  done++;
}
static void body(void) {
  yielding(at);
  setcontext(&scheduler[where]);
}
static void resume(int number) {
  at = number;
  swapcontext(&scheduler[where], &coroutine[number]);
}
static void *elsewhere(void *unused) {
  where = 1;
  for (int step = 0; step <= STEPS / 2; step++)
    for (int i = 0; i < COROUTINES; i++) resume(i);
  return unused;
}

int main(void) {
  for (int i = 0; i <= COROUTINES; i++) {
    getcontext(&coroutine[i]);
    coroutine[i].uc_stack.ss_sp = malloc(65536);
    coroutine[i].uc_stack.ss_size = 65536;
    makecontext(&coroutine[i], body, 0);
  }
  resume(COROUTINES); /* begins and is never resumed */
  for (int step = 0; step < STEPS / 2; step++)
    for (int i = 0; i < COROUTINES; i++) resume((i * 7) % COROUTINES);
  pthread_t thread;
  pthread_create(&thread, 0, elsewhere, 0);
  pthread_join(thread, 0);
  REQUIRE(done == COROUTINES && total == (long)COROUTINES * STEPS * (STEPS + 1) / 2);
}
