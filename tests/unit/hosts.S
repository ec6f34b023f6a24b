/* Functions that may or may not make room for a landing: test_patch.c says which. */
.macro function name
.globl \name
.hidden \name
.type \name, @function
\name: .cfi_startproc
.endm
.macro end name
.cfi_endproc
.size \name, .-\name
.endm
.macro work
  lea 1(%rdi), %eax
  lea 2(%rax), %eax
  lea 3(%rax), %eax
  lea 4(%rax), %eax
.endm

.text
function host_good
  work
  ret
end host_good

function host_entered
  lea 1(%rdi), %eax
  lea 2(%rax), %eax
1:lea 3(%rax), %eax
  lea 4(%rax), %eax
  jne 1b
  ret
end host_entered

function host_loops
1:work
  jne 1b
  work
  ret
end host_loops

function host_table
  work
  jmp *%rax
end host_table

function host_tail
  work
  jmp *8(%rdi)
end host_tail

function host_apart
  work
  je apart
  ret
end host_apart

function host_data
  ret
  work
  work
end host_data

function host_calls
  lea 1(%rdi), %eax
  call host_good
  lea 3(%rax), %eax
  lea 4(%rax), %eax
  ret
end host_calls

function host_saves
  push %rbx
  .cfi_def_cfa_offset 16
  work
  pop %rbx
  ret
end host_saves

function host_handles
  .cfi_lsda 0x1b, host_good
  work
  ret
end host_handles

.globl host_frameless
.hidden host_frameless
.type host_frameless, @function
host_frameless:
  work
  ret
.size host_frameless, .-host_frameless

.globl host_end
.hidden host_end
host_end:
.fill 64, 1, 0x90
apart: ret
.section .note.GNU-stack,"",@progbits
