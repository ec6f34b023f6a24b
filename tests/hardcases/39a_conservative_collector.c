/*
 * A conservative collector scans stacks and registers: an object that only the caller's rbx refers to survives a collection
 * that runs inside a traced call.
 * flags: -O2 -lgc
 * needs: gcc
 * trace: collects
 * calls: collects 100
 */
#include <gc.h>

#include "case.h"

TRACED void collects(void) {
  GC_gcollect();
  for (int i = 0; i < 2000; i++) {
    unsigned long *other = GC_MALLOC_ATOMIC(64);
    for (int k = 0; k < 8; k++) other[k] = 0xdeadbeef;
  }
}

/* The only reference lives in rbx while the traced call runs. */
__attribute__((noinline)) static int survives(unsigned long value) {
  register unsigned long *object __asm__("rbx") = GC_MALLOC_ATOMIC(64);
  object[1] = value;
  __asm__ volatile("sub $128, %%rsp\n call collects\n add $128, %%rsp"
                   : "+r"(object)
                   :
                   : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
  return object[1] == value;
}

int main(void) {
  GC_INIT();
  for (unsigned long i = 0; i < 100; i++) REQUIRE(survives(i));
}
