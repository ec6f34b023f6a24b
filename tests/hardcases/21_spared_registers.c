/*
 * -fipa-ra: callers of a local function rely on scratch registers that it happens to spare. All of them must come back
 * as they were, the flags as far as the callee leaves them alone included.
 * flags: -O2 -fipa-ra
 * flags: -O3 -fipa-ra -fno-plt
 * trace: spares_all, local
 * calls: spares_all 1000
 * calls: local 1000
 */
#include "case.h"

__asm__(".text\n.p2align 4\n.globl spares_all\n.type spares_all, @function\nspares_all: nop\n nop\n nop\n nop\n nop\n ret\n"
        ".size spares_all, .-spares_all\n");

static volatile int sink;
TRACED static void local(int x) { sink = x; }

TRACED static long uses_scratch(long a, long b, long c, long d) {
  long e = a * b, f = c * d, g = a ^ d;
  local((int)a);
  return e + f + g + a + b + c + d;
}

int main(void) {
  for (long i = 0; i < 1000; i++) {
    unsigned long r[9];
    __asm__ volatile("mov $11, %%eax\n mov $12, %%ecx\n mov $13, %%edx\n mov $14, %%esi\n mov $15, %%edi\n mov $16, %%r8d\n mov $17, %%r9d\n"
                     "mov $18, %%r10d\n mov $19, %%r11d\n sub $128, %%rsp\n call spares_all\n add $128, %%rsp\n"
                     "mov %%rax, 0(%0)\n mov %%rcx, 8(%0)\n mov %%rdx, 16(%0)\n mov %%rsi, 24(%0)\n mov %%rdi, 32(%0)\n mov %%r8, 40(%0)\n"
                     "mov %%r9, 48(%0)\n mov %%r10, 56(%0)\n mov %%r11, 64(%0)\n"
                     :
                     : "b"(r)
                     : "memory", "cc", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
    for (unsigned k = 0; k < 9; k++) REQUIRE(r[k] == 11 + k);
    REQUIRE(uses_scratch(i, i + 1, i + 2, i + 3) == i * (i + 1) + (i + 2) * (i + 3) + (i ^ (i + 3)) + 4 * i + 6);
  }
}
