/*
 * Clones that the compiler makes belong to their source name; .cold parts are never patched.
 * flags: -O2 -fipa-cp-clone -fipa-sra
 * flags: -O3 --param max-inline-insns-auto=10
 * trace: specialized, reduced, with_cold, parted
 * expect: r.calls("specialized") == 400 and r.calls("reduced") == 200
 * calls: with_cold 200
 * calls: parted 100
 * expect: not any(".cold" in entry["name"] for entry in r["skipped"])
 * expect: not any(".cold" in f["name"] for f in r.functions)
 */
#include "case.h"

struct big { int used, rest[30]; };

static volatile int sink;
__attribute__((noinline)) static int specialized(int kind, int x) {
  if (kind == 3) for (int i = 0; i < 4; i++) sink += i;
  else if (kind == 8) sink += x;
  return sink * 0 + x + kind;
}
__attribute__((noinline)) static int reduced(struct big *b, int unused) { return b->used + 1; }

__attribute__((cold, noinline)) void rare(int x) { printf("rare %d\n", x); }
__attribute__((noinline)) int with_cold(int x) {
  sink = x;
  if (__builtin_expect(x == 77, 0)) {
    rare(x);
    for (int i = 0; i < 3; i++) rare(i + sink);
  }
  return sink + 1;
}

/* Its test is inlined into both callers, what is behind it stays a function: parted.part.0. */
static int parted(struct big *b, int x) {
  if (__builtin_expect(x & 1, 1)) return x;
  for (int i = 0; i < 30; i++) sink += b->rest[i] * x + printf("%s", x > 1000 ? "x" : "");
  for (int i = 0; i < 30; i++) b->rest[i] = sink & 7;
  return x + (printf("%s", "") > 100);
}
__attribute__((noinline)) static int first_caller(struct big *b, int x) { return parted(b, x) + 1; }
__attribute__((noinline)) static int second_caller(struct big *b, int x) { return parted(b, x) + 2; }

int main(void) {
  struct big b = {0};
  for (int i = 0; i < 200; i++) {
    b.used = i;
    REQUIRE(specialized(3, i) == i + 3 && specialized(8, i) == i + 8);
    REQUIRE(reduced(&b, i) == i + 1);
    REQUIRE(with_cold(i) == i + 1);
    REQUIRE((i & 2 ? first_caller : second_caller)(&b, i) == i + (i & 2 ? 1 : 2));
  }
}
