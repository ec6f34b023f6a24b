/* Functions without padding between them: too short for a jump, branched into, and neighbours that can make
 * room. */
#pragma once

/* clang-format off */

/* Fillers can't be hosts, since they may jump by a table, and keep other functions' padding out of reach. */
#define FUNCTION(name) ".globl " name "\n.type " name ", @function\n" name ": .cfi_startproc\n"
#define END(name) ".cfi_endproc\n.size " name ", .-" name "\n"
#define FILLER(name) FUNCTION(name) ".fill 170, 1, 0x98\n jmp *%rax\n" END(name)

__asm__(".section packed,\"ax\"\n" FILLER("filler_first")
        FUNCTION("tiny_zero") "xor %eax, %eax\n ret\n" END("tiny_zero")
        FUNCTION("tiny_same") "mov %edi, %eax\n ret\n" END("tiny_same")
        FUNCTION("host_sum")
        "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
        "sub $16, %rsp\n.cfi_def_cfa_offset 32\n"
        "mov %edi, %ebx\n test %esi, %esi\n js 1f\n" /* the run that is moved first: its own frame differs from a landing's */
        "lea 1(%rbx,%rsi), %ebx\n add $7, %ebx\n sub $8, %ebx\n mov %ebx, 8(%rsp)\n"
        "call tiny_zero\n add 8(%rsp), %eax\n"
        "mov %eax, %ecx\n xor $0x55, %ecx\n xor $0x55, %ecx\n mov %ecx, %eax\n"
        "lea 1(%rax), %ecx\n lea 2(%rcx), %ecx\n lea -3(%rcx), %eax\n mov %ecx, %edx\n"
        "1: add $16, %rsp\n.cfi_def_cfa_offset 16\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n" END("host_sum")
        FUNCTION("tiny_jump") "jmp tiny_same\n" END("tiny_jump")
        FUNCTION("tiny_same_too") "mov %edi, %eax\n ret\n" END("tiny_same_too")
        FILLER("filler_middle")
        /* Branched into by a long branch of another section, as a cold part does. */
        FUNCTION("turned_far")
        "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
        "1: lea 1(%rdi), %ebx\n cmp $9, %ebx\n jb cold_part\n call tiny_zero\n add %ebx, %eax\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n"
        END("turned_far")
        /* By a short one of its own, around a call. */
        FUNCTION("turned_near")
        "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
        "2: lea 3(%rdi), %ebx\n xor %esi, %esi\n call host_sum\n mov %ebx, %edi\n cmp $20, %ebx\n jb 2b\n"
        "mov %ebx, %eax\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n" END("turned_near")
        /* To its own beginning: a loop, not a call. */
        FUNCTION("turned_tail")
        "cmp $50, %edi\n jae 3f\n push %rdi\n.cfi_def_cfa_offset 16\n call tiny_same_plain\n pop %rdi\n.cfi_def_cfa_offset 8\n"
        "lea 10(%rdi), %edi\n.byte 0xe9\n.long turned_tail - . - 4\n"
        "3: mov %edi, %eax\n ret\n" END("turned_tail")
        FUNCTION("tiny_same_plain") "mov %edi, %eax\n nop\n nop\n nop\n ret\n" END("tiny_same_plain")
        FUNCTION("host_second")
        "lea 5(%rdi), %eax\n lea 6(%rax), %eax\n lea 7(%rax), %eax\n lea 8(%rax), %eax\n lea 9(%rax), %eax\n lea -35(%rax), %eax\n ret\n" END("host_second")
        /* By its own loop and by another function, into the same bytes. */
        FUNCTION("turned_both")
        "xor %eax, %eax\n4: add $2, %eax\n dec %edi\n jnz 4b\n ret\n" END("turned_both")
        FUNCTION("enters_both") "mov %esi, %eax\n jmp 4b\n" END("enters_both")
        FUNCTION("host_third")
        "lea 5(%rdi), %eax\n lea 6(%rax), %eax\n lea 7(%rax), %eax\n lea -18(%rax), %eax\n xor $1, %eax\n xor $1, %eax\n"
        "xor $2, %eax\n xor $2, %eax\n xor $3, %eax\n xor $3, %eax\n ret\n" END("host_third")
        FILLER("filler_last")
        ".section cold,\"ax\"\ncold_part: .cfi_startproc\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"
        "inc %edi\n.byte 0xe9\n.long 1b - . - 4\n.cfi_endproc\n.text\n");

int tiny_zero(void), tiny_same(int), tiny_jump(int), tiny_same_too(int), turned_far(int), turned_near(int), turned_tail(int), host_sum(int, int),
    host_second(int), turned_both(int), host_third(int), enters_both(int, int);
