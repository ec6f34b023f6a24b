/*
 * Functions whose symbols give no size, as assemblers leave them: loops back to their beginnings are no calls.
 * And one that is called in the middle of its first bytes, at a label that is no function.
 * flags: -O2
 * flags: -O2 -no-pie -fno-pie
 * trace: loops_back, loops_near, entered, repeats, locks, counts_down, finds_itself
 * option: timing.budget=off
 * calls: loops_back 60
 * calls: loops_near 60
 * calls: entered 60
 * calls: repeats 60
 * calls: locks 60
 * calls: counts_down 60
 * calls: finds_itself 60
 */
#include "case.h"

/* clang-format off */
#define START(name) ".p2align 4\n.globl " name "\n.type " name ", @function\n" name ":\n"
__asm__(".text\n"
  START("loops_back") "dec %edi\n jns away\n mov %esi, %eax\n ret\naway: inc %esi\n jmp loops_back\n"
  START("loops_near") "xor %eax, %eax\n1: add $2, %eax\n dec %edi\n jns 1b\n ret\n"
  START("entered") "xor %eax, %eax\nin_the_middle: lea 3(%rdi,%rax), %eax\n ret\n"
  START("enters") "sub $8, %rsp\n mov $1, %eax\n call in_the_middle\n add $8, %rsp\n ret\n"
  START("repeats") "rep stosb\n mov %rdi, %rax\n ret\n"
  START("locks") "lock xadd %esi, (%rdi)\n mov %esi, %eax\n ret\n"
  START("counts_down") "jrcxz 2f\n1: inc %edi\n loop 1b\n2: mov %edi, %eax\n ret\n"
  START("finds_itself") "call 1f\n1: pop %rax\n lea 1b(%rip), %rcx\n sub %rcx, %rax\n add %edi, %eax\n ret\n");
/* clang-format on */

int loops_back(int, int), loops_near(int), entered(int), enters(int), locks(int *, int), finds_itself(int);

int main(void) {
  for (int i = 0; i < 60; i++) {
    char bytes[64] = "", *end = bytes;
    long count = i, letter = 'x';
    int number = i, counted = i;
    __asm__ volatile("sub $128, %%rsp\n call repeats\n add $128, %%rsp"
                     : "+D"(end), "+c"(count), "+a"(letter)
                     :
                     : "memory", "cc");
    REQUIRE(end == bytes + i && count == 0 && bytes[i] == 0 && (i == 0 || bytes[i - 1] == 'x'));
    count = i % 4;
    __asm__ volatile("sub $128, %%rsp\n call counts_down\n add $128, %%rsp"
                     : "+D"(counted), "+c"(count)
                     :
                     : "eax", "memory", "cc");
    REQUIRE(counted == i + i % 4);
    REQUIRE(loops_back(i, 5) == i + 5 && loops_near(i) == 2 * (i + 1) && entered(i) == i + 3 &&
            enters(i) == i + 4);
    REQUIRE(locks(&number, 4) == i && number == i + 4 && finds_itself(i) == i);
  }
}
