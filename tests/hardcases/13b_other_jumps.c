/*
 * The other ways to jump out of traced frames: __builtin_longjmp, setcontext to a context taken further up, longjmp out of a signal
 * handler (on the thread's stack and on a signal stack) that interrupted them, and on several threads.
 * flags: -O2 -pthread
 * flags: -O1 -pthread -fno-optimize-sibling-calls
 * flags: -O0 -pthread
 * compiler: gcc
 * trace: jumper, deeper, outer
 * option: timing.budget=off
 * calls: outer 1500
 * unwound: outer 0
 * calls: deeper 31500
 * unwound: deeper 31500
 * calls: jumper 1500
 * unwound: jumper 1500
 * expect: all(f["open"] == 0 for f in r.functions)
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

#include "case.h"

enum { BUILTIN, CONTEXT, HANDLER, ON_SIGNAL_STACK, WAYS };
static _Thread_local void *built_in[5];
static _Thread_local sigjmp_buf out;
static _Thread_local ucontext_t taken;

static void handler(int number) { (void)number, siglongjmp(out, 1); }

TRACED void jumper(int way) {
  LONG;
  if (way == BUILTIN) __builtin_longjmp(built_in, 1);
  if (way == CONTEXT) setcontext(&taken);
  raise(way == HANDLER ? SIGUSR1 : SIGUSR2);
}
TRACED int deeper(int depth, int way) {
  if (depth) {
    int below = deeper(depth - 1, way);
    __asm__ volatile("" : "+r"(below));
    return below + 1;
  }
  jumper(way);
  LONG;
  return 0;
}
TRACED int outer(int way) {
  volatile int before = 17, jumped = 0;
  if (way == BUILTIN) {
    if (!__builtin_setjmp(built_in)) deeper(20, way);
  } else if (way == CONTEXT) {
    getcontext(&taken);
    if (!jumped++) deeper(20, way);
  } else if (!sigsetjmp(out, 1)) {
    deeper(20, way);
  }
  return before + 1;
}

static void *run(void *unused) {
  stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
  REQUIRE(!sigaltstack(&stack, 0));
  for (int i = 0; i < 500; i++) REQUIRE(outer(i % WAYS) == 18);
  stack.ss_flags = SS_DISABLE;
  sigaltstack(&stack, 0);
  return unused;
}

int main(void) {
  struct sigaction action = {.sa_handler = handler};
  pthread_t threads[2];
  sigaction(SIGUSR1, &action, 0);
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR2, &action, 0);
  for (int i = 0; i < 2; i++) REQUIRE(!pthread_create(&threads[i], 0, run, 0));
  for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
  run(0);
}
