/* rf_clone_thread (clone.h). The child starts on an empty stack, so it must not return through this frame. */
#include <sys/syscall.h>

        .text
        .globl  rf_clone_thread
        .hidden rf_clone_thread
        .type   rf_clone_thread, @function
        .p2align 4
/* rdi flags, rsi stack_top, rdx body, rcx argument, r8 tid */
rf_clone_thread:
        .cfi_startproc
        endbr64
        andq    $-16, %rsi
        subq    $32, %rsi
        movq    %rdx, 0(%rsi)
        movq    %rcx, 8(%rsi)
        movq    $0x1f80, 16(%rsi)       /* mxcsr: all exceptions masked, round to nearest */
        movq    %r8, %rdx               /* parent_tid */
        movq    %r8, %r10               /* child_tid */
        xorl    %r8d, %r8d
        movl    $SYS_clone, %eax
        syscall
        testq   %rax, %rax
        jz      1f
        ret
1:
        .cfi_undefined %rip
        xorl    %ebp, %ebp
        fninit
        ldmxcsr 16(%rsp)
        cld
        popq    %rax
        popq    %rdi
        call    *%rax
        xorl    %edi, %edi
        movl    $SYS_exit, %eax
        syscall
        ud2
        .cfi_endproc
        .size   rf_clone_thread, . - rf_clone_thread

        .section .note.GNU-stack, "", @progbits
