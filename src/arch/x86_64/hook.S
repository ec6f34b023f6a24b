/*
 * Entries of hooked allocator functions (heap/foreign.h): the stub has pushed the hook's number, which goes to the handler as its
 * sixth argument. None of the functions has that many.
 */
.intel_syntax noprefix
.text
.macro hook name, handler
.globl \name
.hidden \name
.type \name, @function
\name:
  .cfi_startproc
  .cfi_def_cfa_offset 16
  mov r9d, [rsp]
  lea rsp, [rsp+8]
  .cfi_def_cfa_offset 8
  jmp \handler
  .cfi_endproc
.size \name, .-\name
.endm

hook rf_hook_alloc, rf_hooked_alloc
hook rf_hook_placed, rf_hooked_placed
hook rf_hook_realloc, rf_hooked_realloc
hook rf_hook_resize, rf_hooked_resize
hook rf_hook_free, rf_hooked_free
hook rf_hook_back, rf_hooked_back
.section .note.GNU-stack,"",@progbits
