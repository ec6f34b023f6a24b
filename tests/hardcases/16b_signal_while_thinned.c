/*
 * A signal between any two instructions while the budget thins a recursive function: gaps are drawn at its entry and at its
 * exit, and the handler calls the same function, so that it draws, too, in the middle of that. No call may be lost or
 * counted twice, and every stack must lead back to main.
 * flags: -O2
 * trace: deep, in_handler
 * option: timing.budget=1%
 * expect: r.calls("deep") == int(open("own").read()) and r.function("deep")["open"] == 0
 * expect: r.function("deep")["timed_calls"] < r.calls("deep") * 3 // 4
 * expect: r.function("deep")["total_s"] < 1.5 * r["process"]["duration_s"]
 */
#define _GNU_SOURCE
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "case.h"

static volatile long calls, steps, handled, lost;
static char *main_start, *main_end;

TRACED int deep(int n) {
  __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED); /* the handler counts in between */
  if (!n) return 0;
  int below = deep(n - 1);
  __asm__ volatile("" : "+r"(below)); /* keeps the call from becoming a loop */
  return below + n;
}
TRACED int in_handler(int x) { return x - 1; }

/* What a thread does for the first time runs with all signals blocked, and a blocked trap kills: the rest of such a call is not stepped. */
static void spare_blocked(ucontext_t *context) {
  greg_t *registers = context->uc_mcontext.gregs;
  if (!memcmp((void *)registers[REG_RIP], "\x0f\x05", 2) && registers[REG_RAX] == SYS_rt_sigprocmask) registers[REG_EFL] &= ~0x100;
}

static void check_stack(void) {
  void *frames[96];
  int depth = backtrace(frames, 96), found = 0;
  for (int i = 0; i < depth; i++) found |= (char *)frames[i] > main_start && (char *)frames[i] < main_end;
  if (!found && !lost++) fprintf(stderr, "no main on the stack at step %ld, depth %d\n", steps, depth);
}

static void trapped(int signal, siginfo_t *info, void *context) {
  spare_blocked(context);
  steps++;
  handled += in_handler(2) + deep(1);
  if (steps % 16 == 0) check_stack();
}

static inline void step(int on) {
  if (on)
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
  else
    __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
}

__attribute__((noinline, section("main_text"))) static void work(void) {
  volatile int *kept = __builtin_alloca(64); /* so with a frame pointer: step() moves the stack pointer */
  for (int i = 0; i < 40; i++) {
    step(1);
    kept[i & 7] = deep(12);
    step(0);
    for (int k = 0; k < 50; k++) kept[1] += deep(5); /* so that it stays thinned */
  }
}

__attribute__((noinline, section("main_text"))) int main(void) {
  extern char __start_main_text[], __stop_main_text[];
  main_start = __start_main_text, main_end = __stop_main_text;
  void *warm[4];
  backtrace(warm, 4); /* loads libgcc */
  for (int i = 0; i < 100000; i++) handled += deep(5);
  struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
  sigaction(SIGTRAP, &action, NULL);
  work();
  FILE *own = fopen("own", "w");
  fprintf(own, "%ld\n", calls);
  REQUIRE(!fclose(own) && steps > 1000 && lost == 0);
}
