/*
 * A ret within the first five bytes, on one of two ways.
 * trace: early, only_return
 * expect: r.counted_or_skipped("early", 100)
 * expect: r.counted_or_skipped("only_return", 100)
 */
#include "case.h"

__asm__(".text\n.p2align 4\n.globl early, only_return\n"
        ".type early, @function\n early: test %edi, %edi\n js 1f\n ret\n 1: neg %edi\n mov %edi, %eax\n ret\n.size early, .-early\n"
        ".p2align 4\n.type only_return, @function\n only_return: ret\n.size only_return, .-only_return\n.p2align 4\n");
int early(int);
void only_return(void);

int main(void) {
  for (int i = -50; i < 50; i++) {
    int result;
    __asm__ volatile("call early" : "=a"(result) : "a"(1234), "D"(i) : "cc", "memory", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11");
    REQUIRE(result == (i < 0 ? -i : 1234));
    only_return();
  }
}
