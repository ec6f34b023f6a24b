/*
 * Functions of 2 to 4 bytes and functions that are branched into, packed without padding, as -Os and cold sections have them: room for
 * their jumps comes from a neighbour's instructions that are moved away, and the branches lead to the moved ones. STEPPED: with a signal
 * at every instruction, whose handler unwinds: every stack must show the caller and main.
 * flags: -O2
 * flags: -O2 -DSTEPPED
 * trace: tiny_*, turned_*, host_*
 * option: timing.budget=off
 * calls: tiny_zero 86
 * calls: tiny_same 40
 * calls: tiny_jump 20
 * calls: tiny_same_too 20
 * calls: turned_far 20
 * calls: turned_near 21
 * calls: turned_tail 20
 * calls: turned_both 20
 * calls: host_sum 46
 */
#define _GNU_SOURCE
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "case.h"
#include "packed.h"

static volatile long steps, lost;
static char *work_start, *work_end;

static void spare_blocked(ucontext_t *context) {
  greg_t *registers = context->uc_mcontext.gregs;
  if (!memcmp((void *)registers[REG_RIP], "\x0f\x05", 2) && registers[REG_RAX] == SYS_rt_sigprocmask) registers[REG_EFL] &= ~0x100;
}

static void trapped(int signal, siginfo_t *info, void *context) {
  void *frames[64];
  spare_blocked(context);
  steps++;
  int depth = backtrace(frames, 64), found = 0;
  for (int i = 0; i < depth; i++) found |= (char *)frames[i] > work_start && (char *)frames[i] < work_end;
  if (found || lost++ > 3) return;
  fprintf(stderr, "the caller is not on the stack at step %ld, depth %d\n", steps, depth);
  backtrace_symbols_fd(frames, depth, 2);
}

static inline void step(int on) {
#ifdef STEPPED
  if (on)
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq" ::: "memory", "cc");
  else
    __asm__ volatile("pushfq\n andq $~0x100, (%%rsp)\n popfq" ::: "memory", "cc");
#endif
}

static int up(int n, int by, int end) {
  do n += by;
  while (n < end);
  return n;
}

__attribute__((noinline, section("work_text"))) static void work(int n) {
  volatile int *kept = __builtin_alloca((size_t)(64 + n) * sizeof *kept); /* so with a frame pointer: step() moves the stack pointer */
  int sums = 0;
  for (int i = n; i < 20; i++) {
    step(1);
    int zero = tiny_zero(), same = tiny_same(i), jumped = tiny_jump(i), too = tiny_same_too(i), sum = host_sum(i, 3), second = host_second(i);
    int far = turned_far(i), tail = turned_tail(i), both = turned_both(i + 1), entered = enters_both(i + 1, 7);
    step(0);
    REQUIRE(zero == 0 && same == i && jumped == i && too == i && sum == i + 3 && second == i);
    REQUIRE(both == 2 * (i + 1) && entered == 7 + 2 * (i + 1));
    REQUIRE(far == (i + 1 < 9 ? 9 : i + 1) && tail == up(i - 10, 10, 50));
    kept[i] = i;
  }
  for (int i = n; i < 20; i++) {
    step(1);
    int near = turned_near(20 + i);
    step(0);
    REQUIRE(near == 23 + i && kept[i] == i);
    sums += near;
  }
  REQUIRE(turned_near(2) == 20 && sums > 0);
}

int main(void) {
  extern char __start_work_text[], __stop_work_text[];
  work_start = __start_work_text, work_end = __stop_work_text;
  struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
  void *warm[4];
  backtrace(warm, 4); /* loads libgcc */
  sigaction(SIGTRAP, &action, 0);
  work(0);
#ifdef STEPPED
  REQUIRE(steps > 200 && lost == 0);
#endif
}
