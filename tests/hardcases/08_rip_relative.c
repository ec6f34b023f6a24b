/*
 * Every form of RIP-relative operand as the first instruction, with immediates behind the displacement too.
 * trace: r_*
 * expect: sum(f["calls"] == 100 for f in r.functions if f["name"].startswith("r_")) == 12
 */
#include "case.h"

#define FORM(name, instruction)                                                                                        \
  ".p2align 4\n.globl " name "\n.type " name ", @function\n" name ": " instruction "\n.size " name ", .-" name "\n"

long value = 5, other = 40, counter;
double number = 2.5;
float vector[4] __attribute__((aligned(16))) = {1, 2, 3, 4};
__asm__(".text\n" FORM("r_lea", "lea value(%rip), %rax\n mov (%rax), %rax\n ret") FORM("r_mov", "mov value(%rip), %rax\n ret\n nop\n nop\n")
            FORM("r_cmp", "cmpq $5, value(%rip)\n sete %al\n movzbl %al, %eax\n ret")
                FORM("r_cmp_wide", "cmpl $0x1000, value(%rip)\n setl %al\n movzbl %al, %eax\n ret")
                    FORM("r_add", "addq $1, counter(%rip)\n mov counter(%rip), %rax\n ret")
                        FORM("r_lock", "lock incq counter(%rip)\n mov counter(%rip), %rax\n ret")
                            FORM("r_xadd", "mov $1, %eax\n lock xadd %rax, counter(%rip)\n ret")
                                FORM("r_sse", "movsd number(%rip), %xmm0\n cvttsd2si %xmm0, %rax\n ret")
                                    FORM("r_addps", "movaps vector(%rip), %xmm1\n addps vector(%rip), %xmm1\n cvttss2si %xmm1, %rax\n ret")
                                        FORM("r_test", "testb $1, value(%rip)\n setne %al\n movzbl %al, %eax\n ret")
                                            FORM("r_imul", "imul $3, value(%rip), %rax\n ret")
                                                FORM("r_movb", "movb $9, counter(%rip)\n movzbl counter(%rip), %eax\n ret"));
long r_lea(void), r_mov(void), r_cmp(void), r_cmp_wide(void), r_add(void), r_lock(void), r_xadd(void), r_sse(void), r_addps(void),
    r_test(void), r_imul(void), r_movb(void);

int main(void) {
  for (int i = 0; i < 100; i++) {
    REQUIRE(r_lea() == 5 && r_mov() == 5 && r_cmp() == 1 && r_cmp_wide() == 1);
    counter = 10;
    REQUIRE(r_add() == 11 && r_lock() == 12 && r_xadd() == 12 && counter == 13);
    REQUIRE(r_sse() == 2 && r_addps() == 2 && r_test() == 1 && r_imul() == 15 && r_movb() == 9);
  }
}
