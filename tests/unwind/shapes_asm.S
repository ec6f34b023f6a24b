/* Frames that no compiler makes. Each is long NAME(struct draw *, int depth) and calls shapes_next. */
.intel_syntax noprefix
.text

.macro begin name
.globl \name
.type \name,@function
\name:
  .cfi_startproc
.endm
.macro done name
  .cfi_endproc
.size \name, .-\name
.endm

/* Saves in an order of its own, a frame pointer that is not one, and the frame grows in the middle. */
begin shape_pushes_anywhere
  push r14
  .cfi_adjust_cfa_offset 8
  .cfi_offset r14, -16
  push rbp
  .cfi_adjust_cfa_offset 8
  .cfi_offset rbp, -24
  lea rbp, [rdi+rsi*8+12345]
  sub rsp, 88
  .cfi_adjust_cfa_offset 88
  mov [rsp+40], rbx
  .cfi_offset rbx, -72
  mov rbx, rsi
  mov r14, rdi
  push 1
  .cfi_adjust_cfa_offset 8
  push 2
  .cfi_adjust_cfa_offset 8
  call shapes_next
  add rsp, 16
  .cfi_adjust_cfa_offset -16
  add rax, rbx
  mov rbx, [rsp+40]
  .cfi_restore rbx
  add rsp, 88
  .cfi_adjust_cfa_offset -88
  pop rbp
  .cfi_adjust_cfa_offset -8
  .cfi_restore rbp
  pop r14
  .cfi_adjust_cfa_offset -8
  .cfi_restore r14
  ret
done shape_pushes_anywhere

/* The CFA by an expression with arithmetic: [rsp + 8 + (3 << 2) - 4] + 8. */
begin shape_expression
  sub rsp, 40
  .cfi_adjust_cfa_offset 40
  lea rax, [rsp+40]
  mov [rsp+16], rax
  .cfi_escape 0x0f,13, 0x77,8, 0x33,0x32,0x24, 0x22, 0x34, 0x1c, 0x06, 0x38, 0x22, 0x96, 0x96
  call shapes_next
  inc rax
  .cfi_def_cfa rsp, 48
  add rsp, 40
  .cfi_adjust_cfa_offset -40
  ret
done shape_expression

/* The timing entry's form: the return address moves into a record, rbx holds the record across the call. */
begin shape_entry
  mov rax, shapes_record@gottpoff[rip]
  mov rdx, fs:[rax]
  add qword ptr fs:[rax], 64
  and edx, 0xffc0
  mov r11, fs:[0]
  lea r11, [r11+rdx+shapes_records@tpoff]
  mov [r11+8], rbx
  mov rax, [rsp]
  mov [r11], rax
  mov [r11+16], rsp
  mov rbx, r11
  .cfi_escape 0x10,3,2,0x73,8
  .cfi_escape 0x10,16,2,0x73,0
  .cfi_escape 0x0f,5,0x73,16,0x06,0x23,9
  .cfi_escape 0x16,7,5,0x73,16,0x06,0x23,8
  add rsp, 8
  call shapes_next
  sub rsp, 8
  mov rcx, [rbx]
  mov [rsp], rcx
  .cfi_escape 0x10,16,2,0x77,0
  mov rcx, [rbx+8]
  .cfi_def_cfa rsp, 8
  .cfi_restore rsp
  mov rbx, rcx
  .cfi_restore rbx
  .cfi_offset 16, -8
  mov rcx, shapes_record@gottpoff[rip]
  sub qword ptr fs:[rcx], 64
  ret
done shape_entry

/* No call frame information at all, but a frame pointer. */
.globl shape_frame_pointer_only
.type shape_frame_pointer_only,@function
shape_frame_pointer_only:
  push rbp
  mov rbp, rsp
  sub rsp, 32
  call shapes_next
  leave
  ret
.size shape_frame_pointer_only, .-shape_frame_pointer_only

/* The CFA hangs on a register that the common walk does not follow. */
begin shape_cfa_in_r12
  push r12
  .cfi_adjust_cfa_offset 8
  .cfi_offset r12, -16
  mov r12, rsp
  .cfi_def_cfa_register r12
  sub rsp, 48
  and esi, 0xff
  call shapes_next
  inc rax
  mov rsp, r12
  .cfi_def_cfa_register rsp
  pop r12
  .cfi_adjust_cfa_offset -8
  .cfi_restore r12
  ret
done shape_cfa_in_r12

/* A frame of 300,000 bytes whose registers are saved at its far end. */
begin shape_far
  sub rsp, 300008
  .cfi_adjust_cfa_offset 300008
  mov [rsp], rbx
  .cfi_offset rbx, -300016
  mov [rsp+8], rbp
  .cfi_offset rbp, -300008
  mov rbx, rdi
  lea rbp, [rsi+99]
  call shapes_next
  mov rbx, [rsp]
  .cfi_restore rbx
  mov rbp, [rsp+8]
  .cfi_restore rbp
  add rsp, 300008
  .cfi_adjust_cfa_offset -300008
  ret
done shape_far

/* long shape_switch(draw, depth, top): calls shapes_next on the stack that ends at top. */
begin shape_switch
  push rbp
  .cfi_adjust_cfa_offset 8
  .cfi_offset rbp, -16
  mov rbp, rsp
  .cfi_def_cfa_register rbp
  mov rsp, rdx
  call shapes_next
  mov rsp, rbp
  pop rbp
  .cfi_restore rbp
  .cfi_def_cfa rsp, 8
  ret
done shape_switch

begin shapes_breakpoint
  int3
  ret
done shapes_breakpoint

.section .tbss,"awT",@nobits
.align 8
shapes_record: .zero 8
.align 64
shapes_records: .zero 65536
.section .note.GNU-stack,"",@progbits
