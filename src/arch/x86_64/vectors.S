/*
 * rf_with_vectors_saved(function, a, b): calls function(a, b) with the whole extended state (x87, SSE, AVX, AVX-512, AMX) saved
 * around it, for the rare paths of a timed call whose C code or libc may use vector registers while the app's hold
 * arguments or results. Needs up to 12 KB of stack: only on Refunc's own stacks. What the function computes follows the
 * usual control words, not the app's, which may round otherwise or have SIGFPE sent for an inexact result.
 */
.intel_syntax noprefix
.macro own_control_words
  fninit
  mov dword ptr [rsp-4], 0x1f80
  ldmxcsr [rsp-4]
.endm
.text
.globl rf_with_vectors_saved
.hidden rf_with_vectors_saved
.type rf_with_vectors_saved, @function
rf_with_vectors_saved:
  .cfi_startproc
  push rbp
  .cfi_def_cfa_offset 16
  .cfi_offset rbp, -16
  mov rbp, rsp
  .cfi_def_cfa_register rbp
  push rbx
  push r12
  .cfi_offset rbx, -24
  .cfi_offset r12, -32
  mov r8, rdi
  mov rdi, rsi
  mov rsi, rdx
  mov eax, rf_vector_bytes[rip]
  test eax, eax
  jz 1f
  sub rsp, rax
  and rsp, -64
  mov rbx, rsp
  xor ecx, ecx
  .irp offset, 512, 520, 528, 536, 544, 552, 560, 568
  mov [rbx+\offset], rcx
  .endr
  mov eax, -1
  mov edx, -1
  xsave64 [rbx]
  own_control_words
  call r8
  mov r12, rax
  mov eax, -1
  mov edx, -1
  xrstor64 [rbx]
  jmp 2f
1:
  sub rsp, 1024
  and rsp, -64
  mov rbx, rsp
  fxsave64 [rbx]
  own_control_words
  call r8
  mov r12, rax
  fxrstor64 [rbx]
2:
  mov rax, r12
  lea rsp, [rbp-16]
  pop r12
  .cfi_restore r12
  pop rbx
  .cfi_restore rbx
  pop rbp
  .cfi_restore rbp
  .cfi_def_cfa rsp, 8
  ret
  .cfi_endproc
.size rf_with_vectors_saved, .-rf_with_vectors_saved
.section .note.GNU-stack,"",@progbits
