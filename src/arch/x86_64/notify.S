/*
 * Small entries beside rf_enter.
 *
 * rf_notify: what the stub of the dynamic loader's _dl_debug_state jumps to. That function does nothing, so its body need not
 * run: the id is dropped and the hook takes its place.
 *
 * rf_find_object_entry: the same for the loader's _dl_find_object; what takes its place (patch/frames.c) calls the body itself.
 *
 * rf_constructor_entry: what stands in the place of a library's first constructor. It asks rf_constructor_due which that is and goes on
 * there, with the loader's arguments.
 *
 * rf_probe_call, rf_probe_call_checked: a call of rf_enter or rf_enter_checked as a patched function would make it, with id 0; for
 * measuring what a probe costs.
 *
 * rf_call_on(top, function, argument): function(argument) on the stack that ends at top.
 */
.intel_syntax noprefix
.text
.macro instead name, function
.globl \name
.hidden \name
.type \name, @function
\name:
  .cfi_startproc
  .cfi_def_cfa_offset 16
  lea rsp, [rsp+8]
  .cfi_def_cfa_offset 8
  jmp \function
  .cfi_endproc
.size \name, .-\name
.endm

instead rf_notify, rf_notified
instead rf_find_object_entry, rf_find_object

.globl rf_constructor_entry
.hidden rf_constructor_entry
.type rf_constructor_entry, @function
rf_constructor_entry:
  .cfi_startproc
  .cfi_def_cfa_offset 16
  .irp reg, rdi, rsi, rdx, rcx
  push \reg
  .cfi_adjust_cfa_offset 8
  .endr
  mov edi, [rsp+32]
  call rf_constructor_due
  .irp reg, rcx, rdx, rsi, rdi
  pop \reg
  .cfi_adjust_cfa_offset -8
  .endr
  lea rsp, [rsp+8]
  .cfi_def_cfa_offset 8
  jmp rax
  .cfi_endproc
.size rf_constructor_entry, .-rf_constructor_entry

.macro probe name, entry
.globl \name
.hidden \name
.type \name, @function
\name:
  .cfi_startproc
  push 0
  .cfi_def_cfa_offset 16
  jmp \entry
  .cfi_endproc
.size \name, .-\name
.endm

probe rf_probe_call, rf_enter
probe rf_probe_call_checked, rf_enter_checked

.globl rf_probe_body
.hidden rf_probe_body
.type rf_probe_body, @function
rf_probe_body:
  .cfi_startproc
  ret
  .cfi_endproc
.size rf_probe_body, .-rf_probe_body

.globl rf_call_on
.hidden rf_call_on
.type rf_call_on, @function
rf_call_on:
  .cfi_startproc
  push rbp
  .cfi_def_cfa_offset 16
  .cfi_offset rbp, -16
  mov rbp, rsp
  .cfi_def_cfa_register rbp
  mov rsp, rdi
  and rsp, -16
  mov rax, rsi
  mov rdi, rdx
  call rax
  mov rsp, rbp
  pop rbp
  .cfi_def_cfa rsp, 8
  .cfi_restore rbp
  ret
  .cfi_endproc
.size rf_call_on, .-rf_call_on
.section .note.GNU-stack,"",@progbits
