/* Stacks made by hand, suspended: what is on them is kept as long as something leads to them. */
#include <ucontext.h>

#include "leaks.h"

enum { STACK = 32768 };
struct coroutine {
  ucontext_t context;
  void *stack;
};

ALLOCATES(kept_coroutine)
ALLOCATES(kept_on_stack)
ALLOCATES(lost_coroutine)
ALLOCATES(lost_on_stack)

struct coroutine *coroutines[10];
static struct coroutine *running;
void *prepared[3]; /* by the main stack: libc's frames leave addresses of the heap's end on a stack */
static ucontext_t home;

static void body(void) {
  void *volatile own[3];
  for (int i = 0; i < 3; i++) own[i] = prepared[i], prepared[i] = NULL;
  swapcontext(&running->context, &home);
  free(own[0]);
}

NOINLINE static struct coroutine *start(int kept, void *(*allocate)(size_t)) {
  struct coroutine *coroutine = allocate(sizeof *coroutine);
  coroutine->stack = allocate(STACK);
  getcontext(&coroutine->context);
  coroutine->context.uc_stack.ss_sp = coroutine->stack;
  coroutine->context.uc_stack.ss_size = STACK;
  makecontext(&coroutine->context, body, 0);
  for (int i = 0; i < 3; i++) prepared[i] = kept ? kept_on_stack(75) : lost_on_stack(75);
  running = coroutine;
  swapcontext(&home, &coroutine->context);
  running = NULL;
  return coroutine;
}

NOINLINE static void lose(void) {
  for (int i = 0; i < 4; i++) start(0, lost_coroutine)->context.uc_link = NULL;
}

int main(void) {
  lose();
  for (int i = 0; i < 10; i++) coroutines[i] = start(1, kept_coroutine);
  memset(&home, 0, sizeof home);
  clear_stack();
  lost("lost_coroutine", 8), lost("lost_on_stack", 12);
  exit(0);
}
