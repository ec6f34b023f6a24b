/*
 * rf_unwind_here(cache, frames, max, truncated): notes what its caller's registers are, and starts the walk there.
 * Only callee-saved registers are stored: the others are free for the taking after a call.
 * The array is struct rf_registers: 8 bytes each, in DWARF's numbering.
 */
.intel_syntax noprefix
.text
.globl rf_unwind_here
.hidden rf_unwind_here
.type rf_unwind_here,@function
rf_unwind_here:
  .cfi_startproc
  sub rsp, 152
  .cfi_adjust_cfa_offset 152
  mov [rsp+3*8], rbx
  mov [rsp+6*8], rbp
  lea rax, [rsp+160]
  mov [rsp+7*8], rax
  mov [rsp+12*8], r12
  mov [rsp+13*8], r13
  mov [rsp+14*8], r14
  mov [rsp+15*8], r15
  mov rax, [rsp+152]
  mov [rsp+16*8], rax
  mov r8, rsp
  call rf_unwind_called
  add rsp, 152
  .cfi_adjust_cfa_offset -152
  ret
  .cfi_endproc
.size rf_unwind_here, .-rf_unwind_here

/* rf_registers_here(registers): the same, to start a walk later while the caller's frame is still there. */
.globl rf_registers_here
.hidden rf_registers_here
.type rf_registers_here,@function
rf_registers_here:
  .cfi_startproc
  mov [rdi+3*8], rbx
  mov [rdi+6*8], rbp
  lea rax, [rsp+8]
  mov [rdi+7*8], rax
  mov [rdi+12*8], r12
  mov [rdi+13*8], r13
  mov [rdi+14*8], r14
  mov [rdi+15*8], r15
  mov rax, [rsp]
  mov [rdi+16*8], rax
  ret
  .cfi_endproc
.size rf_registers_here, .-rf_registers_here
.section .note.GNU-stack,"",@progbits
