/* Functions that no jump can be put into: one of a single byte, and one that is branched into where there is
 * no room for the turned branch. */
#pragma once

/* clang-format off */
#define FUNCTION(name) ".globl " name "\n.type " name ", @function\n" name ": .cfi_startproc\n"
#define END(name) ".cfi_endproc\n.size " name ", .-" name "\n"
#define FILLER ".fill 170, 1, 0x98\n jmp *%rax\n" /* not padding, and may jump by a table */

__asm__(".section packed,\"ax\"\n" FILLER
        FUNCTION("refused_empty") "ret\n" END("refused_empty")
        FILLER
        FUNCTION("refused_loop") /* calls what it is given until that answers 0 */
        "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
        "1: mov %rdi, %rbx\n call *%rbx\n mov %rbx, %rdi\n test %eax, %eax\n jne 1b\n"
        "pop %rbx\n.cfi_def_cfa_offset 8\n ret\n" END("refused_loop")
        FILLER ".text\n");
