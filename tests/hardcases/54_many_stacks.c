/*
 * 65,536 distinct stacks, most of them told as one sum; a stack deeper than the limit is marked truncated; no
 * frame pointers. flags: -O2 -fomit-frame-pointer -fno-builtin option: heap.mode=exact option:
 * heap.stack_depth=40 expect: r["self"]["dropped"]["sites"] == 0 expect: sum(s["alloc_calls"] for s in
 * r["heap"]["sites"]) == r["heap"]["alloc_calls"] expect: sum(s["live_bytes"] for s in r["heap"]["sites"]) ==
 * r["heap"]["live_bytes"] expect: any("further sites" in s["stack"][0] for s in r["heap"]["sites"] if
 * s["stack"]) expect: [s["alloc_calls"] for s in r["heap"]["sites"] if s["truncated"]] == [100]
 */
#include "case.h"

enum { BITS = 16 };
static void *kept[1 << BITS], *deep_one[100];

TRACED void left(unsigned bits, int depth, unsigned number);
TRACED void right(unsigned bits, int depth, unsigned number);

static inline void next(unsigned bits, int depth, unsigned number) {
  if (!depth)
    kept[number] = malloc(24);
  else if (bits & 1)
    left(bits >> 1, depth - 1, number);
  else
    right(bits >> 1, depth - 1, number);
}
TRACED void left(unsigned bits, int depth, unsigned number) {
  next(bits, depth, number);
  __asm__ volatile("");
}
TRACED void right(unsigned bits, int depth, unsigned number) {
  next(bits, depth, number);
  __asm__ volatile("nop");
}

TRACED void *deep(int depth) {
  void *block = depth ? deep(depth - 1) : malloc(5000);
  __asm__ volatile("" : "+r"(block));
  return block;
}

int main(void) {
  for (unsigned i = 0; i < 1 << BITS; i++) next(i, BITS, i);
  for (int i = 0; i < 100; i++) deep_one[i] = deep(1000);
  return deep_one[99] && kept[5] ? 0 : 1;
}
