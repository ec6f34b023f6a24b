/*
 * Tail calls in a chain of 100,000, mutual recursion, and recursion 100,000 deep whose total time is not counted twice.
 * flags: -O2 -foptimize-sibling-calls
 * trace: even, odd, deep, waiting, tail_first, tail_second
 * option: timing.budget=off
 * calls: even 100002
 * calls: odd 100001
 * calls: deep 100001
 * calls: waiting 21
 * time: waiting 0.019 0.2
 * calls: tail_first 100
 * calls: tail_second 100
 * expect: r.function("deep")["unwound"] == 0 and r.function("even")["unwound"] == 0
 * expect: r.function("deep")["total_s"] <= r["process"]["duration_s"] and len(r.processes) == 1
 */
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "case.h"

TRACED int odd(unsigned n);
TRACED int even(unsigned n) { return n == 0 ? 1 : odd(n - 1); }
TRACED int odd(unsigned n) { return n == 0 ? 0 : even(n - 1); }

TRACED long deep(long n) {
  if (n == 0) return 0;
  long below = deep(n - 1);
  __asm__ volatile("" : "+r"(below));
  return below + 1;
}
TRACED int waiting(int n) {
  if (n == 0) return 0;
  struct timespec ms = {0, 1000000};
  nanosleep(&ms, 0);
  int below = waiting(n - 1);
  __asm__ volatile("" : "+r"(below));
  return below + 1;
}
TRACED int tail_second(int x) { return x * 2 + 1; }
TRACED int tail_first(int x) { return tail_second(x + 1); }

int main(int argc, char **argv) {
  struct rlimit limit = {64 << 20, 64 << 20};
  if (argc == 1 && !setrlimit(RLIMIT_STACK, &limit)) {
    char *again[] = {argv[0], "deep", 0};
    execv("/proc/self/exe", again);
  }
  REQUIRE(even(100000) && even(100001) == 0);
  REQUIRE(deep(100000) == 100000 && waiting(20) == 20);
  for (int i = 0; i < 100; i++) REQUIRE(tail_first(i) == 2 * i + 3);
}
