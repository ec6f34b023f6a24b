/*
 * A signal between any two instructions of the hook, whose handler calls traced functions and unwinds: the program steps
 * itself through traced calls with the trap flag. Every stack must lead back to main. INSIDE a handler on the signal stack the next handler's frame must go under it,
 * so the hook may not be on another stack then.
 * flags: -O2
 * flags: -O2 -DALTERNATE
 * flags: -O2 -DALTERNATE -DINSIDE
 * trace: stepped, in_handler, nested, jumps
 * option: timing.budget=off
 * calls: stepped 41
 * calls: nested 82
 * calls: jumps 41
 * expect: r.calls("in_handler") > 40 and r.function("in_handler")["open"] == 0
 */
#define _GNU_SOURCE
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "case.h"

static volatile long steps, handled, lost;
static char *main_start, *main_end;

TRACED int nested(int x) { LONG; return x + 1; }
TRACED int stepped(int x) { return nested(x) * 2; }
TRACED int jumps(int x) { LONG; return nested(x); } /* a jump */
TRACED int in_handler(int x) { return x - 1; }

/* What a thread does for the first time runs with all signals blocked, and a blocked trap kills: the rest of such a call is not stepped. */
static void spare_blocked(ucontext_t *context) {
  greg_t *registers = context->uc_mcontext.gregs;
  if (!memcmp((void *)registers[REG_RIP], "\x0f\x05", 2) && registers[REG_RAX] == SYS_rt_sigprocmask) registers[REG_EFL] &= ~0x100;
}

static void trapped(int signal, siginfo_t *info, void *context) {
  void *frames[64];
  spare_blocked(context);
  steps++;
  handled += in_handler(2);
  int depth = backtrace(frames, 64), found = 0;
  for (int i = 0; i < depth; i++) found |= (char *)frames[i] > main_start && (char *)frames[i] < main_end;
  if (!found) {
    if (!lost++)
      fprintf(stderr, "no main on the stack at step %ld, depth %d\n", steps, depth),
          backtrace_symbols_fd(frames, depth, 2);
  }
}

static inline void step(int on) {
  if (on)
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
  else
    __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
}

/* Its frame lies where the next signal's would if the kernel took the signal stack for free. */
__attribute__((noinline, section("main_text"))) static void work(int signal) {
  volatile int *kept = __builtin_alloca((size_t)(64 + signal) * sizeof *kept); /* so with a frame pointer: step() moves the stack pointer */
  for (int i = 0; i < 64; i++) kept[i] = i + signal;
  for (int i = 0; i < 40; i++) {
    step(1);
    int result = stepped(i) + jumps(i);
    step(0);
    REQUIRE(result == (i + 1) * 3);
  }
  for (int i = 0; i < 64; i++) REQUIRE(kept[i] == i + signal);
}

static inline void signal_on_stack(int number, void (*handler)(int)) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
  sigaction(number, &action, 0);
}

__attribute__((noinline, section("main_text"))) int main(void) {
  extern char __start_main_text[], __stop_main_text[];
  main_start = __start_main_text, main_end = __stop_main_text;
  struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_ONSTACK};
#ifdef ALTERNATE
  static char alternate[65536];
  stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
  sigaltstack(&stack, 0);
#endif
  void *warm[4];
  backtrace(warm, 4); /* loads libgcc */
  stepped(0), jumps(0), in_handler(0);
  sigaction(SIGTRAP, &action, 0);
#ifdef INSIDE
  signal_on_stack(SIGUSR1, work);
  raise(SIGUSR1);
#else
  work(0);
#endif
  REQUIRE(steps > 200 && handled == steps && lost == 0);
}
