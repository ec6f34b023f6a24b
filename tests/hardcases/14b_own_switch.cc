/*
 * Coroutines whose stacks a few lines of assembly switch, as Boost.Context, libco and language runtimes do: interleaved, moved between
 * threads, begun inside traced calls, with exceptions thrown and caught inside, on stacks that are used again, some abandoned.
 * flags: -O2 -pthread
 * flags: -O0 -pthread
 * flags: -O2 -pthread -DMAPPED
 * trace: step, yields, leaf, throws, catches
 * option: timing.budget=off
 * calls: yields 2008
 * calls: leaf 80008
 * calls: step 40008
 * calls: throws 10000
 * unwound: throws 10000
 * calls: catches 10000
 * unwound: catches 0
 * expect: r.function("yields")["unwound"] + r.function("yields")["open"] == 8 and r.function("leaf")["open"] == 0
 * expect: r.function("leaf")["total_s"] < r["process"]["duration_s"] * 2
 */
#include <pthread.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>

#include "case.h"

/* Callee-saved registers and the control words on the stack that is left, as fcontext does. */
extern "C" void *switch_to(void **left, void *entered, void *passed);
__asm__(".text\n.globl switch_to\n.type switch_to, @function\nswitch_to:\n"
        " push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n sub $8, %rsp\n stmxcsr (%rsp)\n fnstcw 4(%rsp)\n"
        " mov %rsp, (%rdi)\n mov %rsi, %rsp\n mov %rdx, %rax\n mov %rdx, %rdi\n"
        " ldmxcsr (%rsp)\n fldcw 4(%rsp)\n add $8, %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n"
        ".size switch_to, .-switch_to\n");

enum { SIZE = 65536, COROUTINES = 8, ROUNDS = 125, STEPS = 20 };
struct coroutine {
  char *stack;
  void *its, *resumers;
  int left;
  bool done;
};

extern "C" {
TRACED int leaf(int x) { LONG; return x + 1; }
TRACED void throws(int x) { throw x; }
TRACED int catches(int x) {
  try {
    throws(x);
  } catch (int y) {
    return y;
  }
  return -1;
}
TRACED int step(coroutine *c, int x) {
  int y = leaf(x);
  if (x % 4 == 0) REQUIRE(catches(x) == x);
  switch_to(&c->its, c->resumers, c);
  return leaf(y);
}
TRACED int yields(coroutine *c) {
  int sum = 0;
  while (c->left-- > 0) sum += step(c, c->left);
  return sum;
}
}

[[noreturn]] static void body(coroutine *c) {
  REQUIRE(yields(c) == STEPS * (STEPS - 1) / 2 + 2 * STEPS);
  c->done = true;
  switch_to(&c->its, c->resumers, c);
  abort();
}

static void begin(coroutine *c) {
  void **top = reinterpret_cast<void **>(c->stack + SIZE - 72);
  memset(static_cast<void *>(top - 8), 0, 64);
  top[0] = nullptr;                          /* where body() would return to */
  top[-1] = reinterpret_cast<void *>(&body); /* switch_to's ret */
  top[-8] = nullptr;
  uint32_t words[2] = {0x1f80, 0x37f};
  memcpy(static_cast<void *>(top - 8), words, 8);
  c->its = static_cast<void *>(top - 8);
  c->left = STEPS, c->done = false;
}
static bool resume(coroutine *c) {
  switch_to(&c->resumers, c->its, c);
  return !c->done;
}

static coroutine shared[COROUTINES];
static void make(coroutine *c) {
#ifdef MAPPED
  c->stack = static_cast<char *>(mmap(nullptr, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
#else
  c->stack = static_cast<char *>(malloc(SIZE));
#endif
}

/* Each by itself; every second round ends on another thread. */
static void *finish(void *all) {
  coroutine *mine = static_cast<coroutine *>(all);
  for (bool any = true; any;) {
    any = false;
    for (int i = 0; i < COROUTINES; i++)
      if (!mine[i].done) any |= resume(&mine[i]);
  }
  return nullptr;
}

static void *run(void *all) {
  coroutine *mine = static_cast<coroutine *>(all);
  pthread_t thread;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < COROUTINES; i++) begin(&mine[i]);
    for (int k = 0; k < STEPS / 2; k++)
      for (int i = 0; i < COROUTINES; i++) resume(&mine[i * 3 % COROUTINES]);
    if (round % 2) {
      REQUIRE(!pthread_create(&thread, nullptr, finish, mine));
      pthread_join(thread, nullptr);
    } else {
      finish(mine);
    }
  }
  return nullptr;
}

int main() {
  static coroutine own[COROUTINES];
  pthread_t thread;
  for (int i = 0; i < COROUTINES; i++) make(&shared[i]), make(&own[i]);
  REQUIRE(!pthread_create(&thread, nullptr, run, shared));
  run(own);
  pthread_join(thread, nullptr);
  for (int i = 0; i < COROUTINES; i++) begin(&own[i]), resume(&own[i]); /* abandoned in the middle of a call */
}
