/*
 * Pop-call entry: times one call of a patched function.
 *
 *   caller ── call f ──▶ f: jmp stub ──▶ stub: push id; jmp rf_enter
 *                                                │
 *        ┌───────────────────────────────────────┘
 *   rf_enter   takes the return address off the stack into a record, then CALLs the body of f, so that
 *     │        stack arguments sit where f expects them and every ret pairs with its call
 *     ├─▶ body of f (relocated first instructions, then the rest of f)
 *   rf_return  puts the return address back, lets rf_exit() account the call, returns to the caller
 *
 * Across the body rbx holds the record. f preserves rbx, and f's own CFI restores it, so expressions describe this frame to
 * every unwinder: return address at [rbx], caller's rbx at [rbx+8], caller's rsp = [rbx+16]+8. The body, this frame and the
 * caller share a stack pointer, but unwinders tell frames apart by their CFA: this one claims one byte more.
 *
 * Signals may come between any two instructions, and their handlers may call traced functions: a record is claimed by one
 * xadd on rf_tls.top; free records hold position ~0, so a claimed but unfilled one is never taken for a dead one; a record
 * is freed last (in rf_exit), after everything in it is back in registers or on the stack. Each CFI rule stands right behind
 * the instruction that makes it true. Data is kept in the 128 bytes below rsp, which signal frames leave alone.
 *
 * All registers but the flags are put back, scratch ones too: with -fipa-ra a caller may rely on those that f spares.
 * Vector, mask and x87 registers are never touched: the C code behind is compiled with general registers only.
 *
 * What the fast path can't do leads to .Lslow: C on a stack of its own (rf_enter_slow), which prepares the thread, the
 * function's slot or a new chunk and has the fast path try again; or fills a record itself (another stack than the
 * thread's own); or gives up the call: then the body runs as if it had not been patched.
 */
#include "arch/x86_64/record.h"
#include "arch/x86_64/saved.h"

#define TLS_SELF 0
#define TLS_TOP 8
#define THREAD_CAPACITY 0
#define THREAD_SLOTS 8
#define THREAD_STACK_LOW 16

/* Below the red zone: a struct rf_saved_call, then two registers. */
#define SAVED_RDI RF_SAVED_BYTES
#define SAVED_RSI (RF_SAVED_BYTES + 8)
#define SAVED_FRAME (RF_SAVED_BYTES + 16 + 128)

.intel_syntax noprefix
.text

/* Rules that hold while rbx is the record. */
.macro cfi_by_record
  .cfi_escape 0x0f, 5, 0x73, RF_RECORD_POSITION, 0x06, 0x23, 9     /* CFA = *(rbx+16) + 9 */
  .cfi_escape 0x16, 7, 5, 0x73, RF_RECORD_POSITION, 0x06, 0x23, 8  /* rsp = *(rbx+16) + 8 */
  .cfi_escape 0x10, 16, 2, 0x73, RF_RECORD_RETURN                  /* return address at rbx+0 */
  .cfi_escape 0x10, 3, 2, 0x73, RF_RECORD_RBX                      /* caller's rbx at rbx+8 */
.endm

/* As behind the stub's push again. The CFA is said once more, since clang's assembler (14) does not restore what
   .cfi_adjust_cfa_offset counts from. */
.macro cfi_as_entered
  .cfi_restore_state
  .cfi_def_cfa rsp, 16
.endm

/* The claimed record is rbx from here on. */
.macro begin_record
  mov rbx, rax
  .cfi_remember_state
  cfi_by_record
.endm

/* The call is over. Out: rdi = record, rsi = the clock; the caller's rbx is back. */
.macro end_record
  mov [rsp-16], rax
  mov [rsp-24], rdx
  rdtsc
  shl rdx, 32
  or rdx, rax                           /* the clock */
  mov rax, [rbx+RF_RECORD_RETURN]
  mov [rsp-8], rax                      /* the caller's address, back in its place */
  mov rax, [rbx+RF_RECORD_RBX]
  mov [rsp-32], rdi
  mov [rsp-40], rsi
  mov rdi, rbx
  mov rbx, rax
  .cfi_def_cfa rsp, 0
  .cfi_restore rsp
  .cfi_restore rbx
  .cfi_offset 16, -8
  mov rsi, rdx
  sub rsp, 48
  .cfi_def_cfa_offset 48
.endm

/*
 * The way in, once for plain calls and once for those that are measured by more than the clock. In: [rsp] id, [rsp+8] return address.
 * Out: at .Lfilled\kind with the record in rax; or at one of the ways out below.
 */
.macro way_in kind
  mov [rsp-16], r11
  mov [rsp-24], r10
  mov [rsp-32], rax
  mov [rsp-40], rdx
.Lretry\kind:
  mov r10, rf_tls@gottpoff[rip]
  mov r11, fs:[r10+TLS_SELF]
  mov eax, [rsp]
  cmp eax, [r11+THREAD_CAPACITY]
  jae .Lslow\kind
  mov rdx, [r11+THREAD_SLOTS]
  mov rdx, [rdx+rax*8]
  test rdx, rdx
  jz .Lslow\kind                       /* this function's first call on this thread */
  lea rax, [rsp+8]
  cmp rax, [r11+THREAD_STACK_LOW]
  jb .Lslow\kind                       /* another stack below the thread's own */
  mov r11, fs:[r10+TLS_TOP]
  test r11w, r11w
  jz .Lslow\kind                       /* the chunk is full */
  cmp rax, [r11-RF_RECORD_BYTES+RF_RECORD_POSITION]
  jae .Ltail_or_dead\kind              /* the record below belongs to no frame above ours */
  mov eax, RF_RECORD_BYTES
  xadd fs:[r10+TLS_TOP], rax            /* claim in one instruction: signal-atomic */
  mov [rax+RF_RECORD_SLOT], rdx
  mov r11, [rsp+8]
  mov [rax+RF_RECORD_RETURN], r11
  mov [rax+RF_RECORD_RBX], rbx
  mov r11d, [rdx+RF_SLOT_NEXT]
  mov [rax+RF_RECORD_FLAGS], r11d
  shr r11d, RF_RECORD_WEIGHT_SHIFT
  jnz .Lweighted\kind
.Lweighed\kind:
  xor r11d, r11d
  mov [rax+RF_RECORD_CHILD], r11
  mov r11d, [rsp]
  mov [rax+RF_RECORD_ID], r11d
  shl r11, 4
  add r11, rf_sites[rip]
  mov r11, [r11]
  mov [rax+RF_RECORD_BODY], r11
  lea r11, [rsp+8]
  mov [rax+RF_RECORD_POSITION], r11
  inc qword ptr [rdx+RF_SLOT_ENTERED]
  inc dword ptr [rdx+RF_SLOT_DEPTH]
.Lfilled\kind:
.endm

.macro full_enter
  mov [rsp-48], rdi
  mov rdi, rbx
  sub rsp, 64
  call rf_full_enter
  add rsp, 64
  mov rdi, [rsp-48]
.endm

.globl rf_enter
.hidden rf_enter
.type rf_enter, @function
.p2align 6
rf_enter:                               /* stack: [id] [return address] [stack arguments...] */
  .cfi_startproc
  .cfi_personality 0x1b, rf_personality
  .cfi_def_cfa rsp, 16
  way_in _plain
  begin_record
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov [rbx+RF_RECORD_START], rax
.Lgo:
  mov r11, [rsp-16]
  mov r10, [rsp-24]
  mov rax, [rsp-32]
  mov rdx, [rsp-40]
  lea rsp, [rsp+16]
  call qword ptr [rbx+RF_RECORD_BODY]
.globl rf_return
.hidden rf_return
rf_return:                              /* rax, rdx, xmm0-1, st0-1 carry the result */
  cmp dword ptr [rbx+RF_RECORD_FLAGS], 0
  jne .Lreturn_flagged
  .cfi_remember_state
  end_record
  call rf_exit_plain                    /* preserves every register but rax; frees the record as its last act */
  test eax, eax
  jz .Lexit
.Lleave:
  .cfi_remember_state
  mov rax, [rsp+32]
  mov rdx, [rsp+24]
  mov rdi, [rsp+16]
  mov rsi, [rsp+8]
  lea rsp, [rsp+40]
  .cfi_def_cfa_offset 8
  ret                                   /* pairs with the caller's own call */
  .cfi_restore_state
  .cfi_def_cfa rsp, 48
.Lexit:
  mov rdx, rbp                          /* the caller's, for walking its stack */
  call rf_exit                          /* the same for calls of every kind */
  jmp .Lleave
  .cfi_restore_state
.Lreturn_flagged:
  test dword ptr [rbx+RF_RECORD_FLAGS], RF_RECORD_FLAG_CHECKED
  jnz .Lreturn_checked
.Lreturn:
  end_record
  test dword ptr [rdi+RF_RECORD_FLAGS], ~RF_RECORD_MEASURED
  jnz .Lexit
  call rf_exit_measured
  test eax, eax
  jz .Lexit
  jmp .Lleave
  cfi_as_entered

  /* The entry of calls that are measured by more than the clock: the same, and rf_full_enter(record) reads what it needs, the clock last. */
.globl rf_enter_full
.hidden rf_enter_full
.p2align 4
rf_enter_full:
  way_in _full
  begin_record
  full_enter
  jmp .Lgo
  cfi_as_entered

  /*
   * The entry of calls that carry rules: the argument registers go into a struct rf_saved_call below the red zone, from where
   * rf_checked_enter(record, saved) reads them, and where its verdict comes back: usually to run the body.
   */
.globl rf_enter_checked
.hidden rf_enter_checked
.p2align 4
rf_enter_checked:
  way_in _checked
  begin_record
.Lchecked:
  sub rsp, SAVED_FRAME
  mov [rsp+RF_SAVED_INTEGER], rdi
  mov [rsp+RF_SAVED_INTEGER+8], rsi
  mov rdi, [rsp+SAVED_FRAME-40]
  mov [rsp+RF_SAVED_INTEGER+16], rdi    /* rdx */
  mov [rsp+RF_SAVED_INTEGER+24], rcx
  mov [rsp+RF_SAVED_INTEGER+32], r8
  mov [rsp+RF_SAVED_INTEGER+40], r9
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7
  movq [rsp+RF_SAVED_VECTOR+8*\n], xmm\n
  .endr
  mov rdi, rbx
  mov rsi, rsp
  call rf_checked_enter                 /* preserves every register */
  mov rdi, [rsp+RF_SAVED_INTEGER]
  mov rsi, [rsp+RF_SAVED_INTEGER+8]
  cmp dword ptr [rsp+RF_SAVED_VERDICT], RF_VERDICT_RUN
  jne .Lsubstitute
  add rsp, SAVED_FRAME
  jmp .Lgo_either
.Lsubstitute:                           /* the body does not run: as if it had returned this */
  mov rax, [rsp+RF_SAVED_RAX]
  cmp dword ptr [rsp+RF_SAVED_VERDICT], RF_VERDICT_VECTOR
  jb 2f
  ja 1f
  movq xmm0, [rsp+RF_SAVED_XMM0]
  jmp 2f
1:
  fld tbyte ptr [rsp+RF_SAVED_X87]
2:
  add rsp, SAVED_FRAME
  lea r11, rf_return[rip]
  cmp r11, [rsp+8]
  mov r11, [rsp-16]
  mov r10, [rsp-24]
  mov rdx, [rsp-40]
  je 3f
  lea rsp, [rsp+16]
  jmp rf_return
3:                                      /* f, which ended in a jump to us, was called from here */
  lea rsp, [rsp+8]
  ret

  /* A function returns, or one that it ended in a jump to, and rules want to see the result. */
.Lreturn_checked:
  sub rsp, SAVED_FRAME
  mov [rsp+RF_SAVED_RAX], rax
  mov [rsp+RF_SAVED_RDX], rdx
  movq [rsp+RF_SAVED_XMM0], xmm0
  movq [rsp+RF_SAVED_XMM1], xmm1
  mov [rsp+SAVED_RDI], rdi
  mov [rsp+SAVED_RSI], rsi
  mov rdi, rbx
  mov rsi, rsp
  fxam                                  /* is there an x87 result? C3 and C0 set: the register is empty */
  fnstsw ax
  and ah, 0x45
  cmp ah, 0x41
  je 3f
  fstp tbyte ptr [rsp+RF_SAVED_X87]     /* and back: all eight may be in use */
  fld tbyte ptr [rsp+RF_SAVED_X87]
3:
  call rf_checked_exit                  /* preserves every register; clears the flag */
  mov rax, [rsp+RF_SAVED_RAX]
  cmp dword ptr [rsp+RF_SAVED_VERDICT], RF_VERDICT_VECTOR
  jb 2f
  ja 1f
  movq xmm0, [rsp+RF_SAVED_XMM0]
  jmp 2f
1:
  fstp st(0)
  fld tbyte ptr [rsp+RF_SAVED_X87]
2:
  mov rdi, [rsp+SAVED_RDI]
  mov rsi, [rsp+SAVED_RSI]
  add rsp, SAVED_FRAME
  jmp .Lreturn
  cfi_as_entered

  /*
   * The record below lies at our stack position or under it. Either its frame is gone (exception, longjmp), or f ended in
   * a jump to us: then our return address is rf_return itself, rbx is f's record, and that record becomes ours.
   */
.macro way_tail kind
.Ltail_or_dead\kind:
  lea r11, rf_return[rip]
  cmp r11, [rsp+8]
  jne .Lslow\kind
  cmp rax, [rbx+RF_RECORD_POSITION]
  jne .Lslow\kind
  mov [rsp-48], rdi
  mov [rsp-56], rsi
  mov [rsp-64], rcx
  mov rcx, rdx                          /* slot */
  rdtsc
  shl rdx, 32
  or rdx, rax                           /* the clock */
  mov rdi, rbx
  mov esi, [rsp]
  sub rsp, 80
  .cfi_adjust_cfa_offset 80
  call rf_tail\kind                     /* (record, id, clock, slot): ends f, begins us in the same record */
  add rsp, 80
  .cfi_adjust_cfa_offset -80
  mov rdi, [rsp-48]
  mov rsi, [rsp-56]
  mov rcx, [rsp-64]
  .cfi_remember_state
  cfi_by_record
  .ifc \kind, _checked
  jmp .Lchecked
  .else
  jmp .Lgo_tail
  .endif
  cfi_as_entered
.endm

  /* A weight is one call's. Those in it that get here stand for themselves; a recursive function's are thinned, too. */
.macro way_weighted kind
.Lweighted\kind:
  mov word ptr [rdx+RF_SLOT_NEXT+1], 0
  test byte ptr [rdx+RF_SLOT_NEXT], RF_RECORD_RECURSIVE
  jz .Lweighed\kind
  mov [rsp-48], rdi
  mov [rsp-56], rsi
  mov rdi, rdx
  mov esi, r11d
  sub rsp, 64
  .cfi_adjust_cfa_offset 64
  call rf_pace_nested                   /* (slot, weight); preserves every register */
  add rsp, 64
  .cfi_adjust_cfa_offset -64
  mov rdi, [rsp-48]
  mov rsi, [rsp-56]
  jmp .Lweighed\kind
.endm

  /* Everything rare. The frame: saved scratch registers; C then goes on on one of Refunc's own stacks. */
.macro way_slow kind
.Lslow\kind:
  lea rsp, [rsp-48]                     /* keeps what lies at -16 to -40 */
  .cfi_adjust_cfa_offset 48
  .irp reg, rcx, rsi, rdi, r8, r9
  push \reg
  .cfi_adjust_cfa_offset 8
  .endr
  push rbp
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset rbp, 0
  mov rbp, rsp
  .cfi_def_cfa_register rbp
  mov edi, [rbp+96]                     /* id */
  lea rsi, [rbp+104]                    /* where the return address lies */
  mov rdx, rbx
  call rf_enter_slow
  mov r9, rax
  pop rbp
  .cfi_def_cfa rsp, 104
  .cfi_restore rbp
  cmp r9, 1
  mov rax, r9
  .irp reg, r9, r8, rdi, rsi, rcx
  pop \reg
  .cfi_adjust_cfa_offset -8
  .endr
  lea rsp, [rsp+48]
  .cfi_adjust_cfa_offset -48
  jb .Lretry\kind                       /* 0: prepared */
  je .Lbypass                           /* 1: run the body untimed */
  begin_record                          /* a record, filled */
  .ifc \kind, _plain
  rdtsc
  shl rdx, 32
  or rax, rdx
  mov [rbx+RF_RECORD_START], rax
  .endif
  .ifc \kind, _full
  full_enter
  .endif
  .ifc \kind, _checked
  jmp .Lchecked
  .else
  jmp .Lgo_either
  .endif
  cfi_as_entered
.endm

  way_weighted _plain
  way_weighted _full
  way_weighted _checked
  way_tail _plain
  way_tail _full
  way_tail _checked
  way_slow _plain
  way_slow _full
  way_slow _checked

  /* Behind a jump from f our return address lies in place, and the call that put it there has no ret yet: a second call would leave a
     hardware shadow stack, and the processor's prediction, one return too many. */
  .cfi_remember_state
  cfi_by_record
.Lgo_either:
  lea r11, rf_return[rip]
  cmp r11, [rsp+8]
  jne .Lgo
.Lgo_tail:
  mov r11, [rsp-16]
  mov r10, [rsp-24]
  mov rax, [rsp-32]
  mov rdx, [rsp-40]
  lea rsp, [rsp+8]
  jmp qword ptr [rbx+RF_RECORD_BODY]
  cfi_as_entered
.Lbypass:
  mov eax, [rsp]
  shl rax, 4
  add rax, rf_sites[rip]
  mov rax, [rax]
  mov [rsp-8], rax
  mov r11, [rsp-16]
  mov r10, [rsp-24]
  mov rax, [rsp-32]
  mov rdx, [rsp-40]
  lea rsp, [rsp+8]
  .cfi_adjust_cfa_offset -8
  jmp qword ptr [rsp-16]
  .cfi_endproc
.size rf_enter, .-rf_enter

/*
 * rax = rcx(rdi, rsi, rdx) on one of 32 own stacks; on the app's where all are taken (their takers stand still in the
 * middle). Clobbers what C may. Signals must be blocked: the kernel would not see that a handler's frame on a signal stack is
 * still in use, and begin the next one over it.
 */
.globl rf_on_own_stack
.hidden rf_on_own_stack
.type rf_on_own_stack, @function
rf_on_own_stack:
  .cfi_startproc
  push rbp
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset rbp, 0
  mov rbp, rsp
  .cfi_def_cfa_register rbp
  push rbx
  .cfi_offset rbx, -24
  mov r9, rcx
  mov rax, rf_own_stacks_free[rip]
1:
  bsf rcx, rax
  jz 2f
  mov r8, rax
  btr r8, rcx
  lock cmpxchg rf_own_stacks_free[rip], r8
  jne 1b
  mov ebx, ecx
  inc ecx
  shl rcx, RF_OWN_STACK_SHIFT
  lea r8, rf_own_stacks[rip]
  lea rsp, [r8+rcx]
  call r9
  lock bts rf_own_stacks_free[rip], rbx
  jmp 3f
2:
  and rsp, -16
  call r9
3:
  lea rsp, [rbp-8]
  pop rbx
  .cfi_restore rbx
  pop rbp
  .cfi_restore rbp
  .cfi_def_cfa rsp, 8
  ret
  .cfi_endproc
.size rf_on_own_stack, .-rf_on_own_stack

/* rcx(rdi, rsi, rdx) on an own stack, signals blocked, every register preserved, so that its callers need not save those they do not use. */
.globl rf_preserved_on_own_stack
.hidden rf_preserved_on_own_stack
.type rf_preserved_on_own_stack, @function
rf_preserved_on_own_stack:
  .cfi_startproc
  .irp reg, rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11
  push \reg
  .cfi_adjust_cfa_offset 8
  .endr
  call rf_blocked_on_own_stack
  .irp reg, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax
  pop \reg
  .cfi_adjust_cfa_offset -8
  .endr
  ret
  .cfi_endproc
.size rf_preserved_on_own_stack, .-rf_preserved_on_own_stack

.section .bss.rf_own_stacks,"aw",@nobits
.balign 4096
.hidden rf_own_stacks
.globl rf_own_stacks
rf_own_stacks:
  .zero 32 << RF_OWN_STACK_SHIFT
.size rf_own_stacks, .-rf_own_stacks
.data
.balign 8
.hidden rf_own_stacks_free
.globl rf_own_stacks_free
rf_own_stacks_free:
  .quad 0xffffffff
.section .note.GNU-stack,"",@progbits
