/*
 * Vector arguments and results, and every vector and mask register that the callee leaves alone, under each set of
 * instructions that the processor has.
 * flags: -O2 -msse2
 * flags: -O2 -mavx2 -DWIDE=32
 * trace: add, spare
 * calls: add 100
 * calls: spare 100
 */
#include <string.h>

#include "case.h"

#ifndef WIDE
#define WIDE 16
#endif
typedef float vector __attribute__((vector_size(WIDE)));

TRACED vector add(vector a, vector b) { LONG; return a + b * 2; }
TRACED void spare(void) { __asm__ volatile("nop; nop; nop; nop; nop"); }

int main(void) {
  if (WIDE == 32 && !__builtin_cpu_supports("avx2")) return puts("no avx2"), 0;
  vector a, b;
  for (int i = 0; i < WIDE / 4; i++) a[i] = (float)i, b[i] = (float)(10 * i);
  for (int i = 0; i < 100; i++) {
    vector c = add(a, b);
    for (int k = 0; k < WIDE / 4; k++) REQUIRE(c[k] == 21 * k);
    float before[16][WIDE / 4], after[16][WIDE / 4];
    for (int r = 0; r < 16; r++)
      for (int k = 0; k < WIDE / 4; k++) before[r][k] = (float)(r * 100 + k + i);
#if WIDE == 32
#define MOVE "vmovups"
#define R "ymm"
#else
#define MOVE "movups"
#define R "xmm"
#endif
#define LOAD(n) MOVE " " #n "*" WIDTH "(%0), %%" R #n "\n"
#define STORE(n) MOVE " %%" R #n ", " #n "*" WIDTH "(%1)\n"
#if WIDE == 32
#define WIDTH "32"
#else
#define WIDTH "16"
#endif
    __asm__ volatile(LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) LOAD(6) LOAD(7) LOAD(8) LOAD(9) LOAD(10) LOAD(11) LOAD(12)
                         LOAD(13) LOAD(14) LOAD(15) "sub $128, %%rsp\n call spare\n add $128, %%rsp\n" STORE(0) STORE(1) STORE(2) STORE(3)
                             STORE(4) STORE(5) STORE(6) STORE(7) STORE(8) STORE(9) STORE(10) STORE(11) STORE(12) STORE(13)
                                 STORE(14) STORE(15)
                     :
                     : "b"(before), "r"(after)
                     : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
                       "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
    REQUIRE(!memcmp(before, after, sizeof before));
  }
}
