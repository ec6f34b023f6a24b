/* rf_call_on_stack (stack.h). The old stack pointer waits in rbp, from which the CFI finds the caller's frame. */
        .text
        .globl  rf_call_on_stack
        .hidden rf_call_on_stack
        .type   rf_call_on_stack, @function
        .p2align 4
/* rdi stack_top, rsi body, rdx argument */
rf_call_on_stack:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        andq    $-16, %rdi
        movq    %rdi, %rsp
        movq    %rdx, %rdi
        call    *%rsi
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   rf_call_on_stack, . - rf_call_on_stack

        .section .note.GNU-stack, "", @progbits
