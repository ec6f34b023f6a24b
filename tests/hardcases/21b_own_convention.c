/*
 * Functions with calling conventions of their own, as other languages' compilers and assembly writers make them: an argument in rbx, or
 * rbx left changed. Timing keeps its record in rbx, so they are left alone. Functions that save rbx, however they do it, are timed.
 * The same with flags that are taken or returned, which timing changes; arguments that the function takes off the stack are no matter.
 * flags: -O2
 * trace: takes_flags, returns_flags, keeps_flags, compares, takes_off, OUTLINED_FUNCTION_0
 * trace: takes_rbx, changes_rbx, passes_rbx, addresses_rbx, saves_late, saves_in_register, stores
 * option: timing.budget=off
 * skipped: takes_rbx calling convention
 * skipped: changes_rbx calling convention
 * skipped: passes_rbx calling convention
 * skipped: addresses_rbx calling convention
 * skipped: takes_flags calling convention
 * skipped: returns_flags calling convention
 * skipped: OUTLINED_FUNCTION_0 may pass flags
 * calls: keeps_flags 100
 * calls: compares 100
 * calls: takes_off 100
 * calls: saves_late 100
 * calls: saves_in_register 100
 * calls: stores 100
 */
#include "case.h"

__asm__(".text\n"
        ".globl takes_rbx\n.type takes_rbx, @function\n"
        "takes_rbx: lea (%rbx,%rdi), %rax\n nopl 0(%rax)\n ret\n.size takes_rbx, .-takes_rbx\n"
        ".p2align 4\n.globl changes_rbx\n.type changes_rbx, @function\n"
        "changes_rbx: mov %rdi, %rax\n add $1, %rax\n xor %ebx, %ebx\n ret\n.size changes_rbx, .-changes_rbx\n"
        ".p2align 4\n.globl passes_rbx\n.type passes_rbx, @function\n"
        "passes_rbx: mov %rbx, %rax\n add %rdi, %rax\n ret\n.size passes_rbx, .-passes_rbx\n"
        ".p2align 4\n.globl addresses_rbx\n.type addresses_rbx, @function\n"
        "addresses_rbx: mov %rdi, %rax\n add (%rbx), %rax\n ret\n.size addresses_rbx, .-addresses_rbx\n"
        ".p2align 4\n.globl saves_late\n.type saves_late, @function\n"
        "saves_late: test %rdi, %rdi\n mov %rdi, %rax\n jz 1f\n push %rbx\n mov %rdi, %rbx\n lea 1(%rbx), %rax\n pop %rbx\n"
        "1: ret\n.size saves_late, .-saves_late\n"
        ".p2align 4\n.globl saves_in_register\n.type saves_in_register, @function\n"
        "saves_in_register: mov %rbx, %rsi\n xor %eax, %eax\n cpuid\n mov %rdi, %rax\n mov %rsi, %rbx\n ret\n"
        ".size saves_in_register, .-saves_in_register\n"
        ".p2align 4\n.globl stores\n.type stores, @function\n"
        "stores: mov %rbx, -16(%rsp)\n mov %rdi, %rbx\n mov %rbx, %rax\n mov -16(%rsp), %rbx\n ret\n.size stores, .-stores\n");

#define START(name) ".p2align 4\n.globl " name "\n.type " name ", @function\n" name ": "
#define END(name) "\n.size " name ", .-" name "\n"
__asm__(".text\n"
        START("takes_flags") "mov %rdi, %rax\n adc $1, %rax\n nopl (%rax)\n ret" END("takes_flags")
        START("returns_flags") "cmp %rsi, %rdi\n mov %rdi, %rax\n nopl (%rax)\n ret" END("returns_flags")
        START("keeps_flags") "mov %rdi, %rax\n add %rsi, %rax\n adc $0, %rax\n ret" END("keeps_flags")
        START("compares") "mov %rdi, %rax\n cmp %rsi, %rdi\n cmovb %rsi, %rax\n ret" END("compares")
        START("takes_off") "mov 8(%rsp), %rax\n add 16(%rsp), %rax\n ret $16" END("takes_off")
        START("OUTLINED_FUNCTION_0") "test %rdi, %rdi\n mov %rdi, %rax\n je 1f\n nop\n 1: ret" END("OUTLINED_FUNCTION_0"));

extern long keeps_flags(long x, long y), compares(long x, long y), OUTLINED_FUNCTION_0(long x);

static void flags(long x) {
  long result, below;
  __asm__ volatile("sub $128, %%rsp\n stc\n call takes_flags\n lea 128(%%rsp), %%rsp" : "=a"(result) : "D"(x) : "rcx", "memory", "cc");
  REQUIRE(result == x + 2);
  __asm__ volatile("sub $128, %%rsp\n call returns_flags\n setb %%al\n movzbl %%al, %%eax\n add $128, %%rsp"
                   : "=a"(below) : "D"(x), "S"(50L) : "rcx", "memory", "cc");
  REQUIRE(below == (x < 50));
  __asm__ volatile("sub $128, %%rsp\n push %1\n push %2\n call takes_off\n add $128, %%rsp"
                   : "=a"(result) : "r"(x), "r"(7L) : "rcx", "memory", "cc");
  REQUIRE(result == x + 7 && keeps_flags(x, 3) == x + 3 && compares(x, 40) == (x < 40 ? 40 : x) && OUTLINED_FUNCTION_0(x) == x);
}

extern long saves_late(long x), saves_in_register(long x), stores(long x);

/* name(x) with rbx = kept; what rbx was left at goes to *after. */
#define CALL(name, x, kept, after)                                                                           \
  ({                                                                                                         \
    long result, rbx = (long)(kept);                                                                         \
    __asm__ volatile("sub $128, %%rsp\n call " #name "\n add $128, %%rsp"                                    \
                     : "=a"(result), "+b"(rbx)                                                               \
                     : "D"((long)(x))                                                                        \
                     : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");                       \
    (after) = rbx;                                                                                           \
    result;                                                                                                  \
  })

int main(void) {
  long cell = 5, after;
  for (int i = 0; i < 100; i++) {
    REQUIRE(CALL(takes_rbx, i, 7, after) == i + 7 && after == 7);
    REQUIRE(CALL(changes_rbx, i, 7, after) == i + 1 && after == 0);
    REQUIRE(CALL(passes_rbx, i, 9, after) == i + 9 && after == 9);
    REQUIRE(CALL(addresses_rbx, i, &cell, after) == i + 5 && after == (long)&cell);
    flags(i);
    REQUIRE(saves_late(i) == (i ? i + 1 : 0) && saves_in_register(i) == i && stores(i) == i);
  }
}
