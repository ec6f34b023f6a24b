/*
 * Neighbours that look as if they could make room, but are entered where no branch leads: threaded code whose labels lie in a table, the
 * same by a thunk for indirect jumps, a cold part that comes back by a table, a branch around a prefix. And zeros behind a function that
 * are no padding but data.
 * flags: -O2
 * flags: -O2 -no-pie
 * trace: tiny_*
 * option: timing.budget=off
 * calls: tiny_zeros 9
 */
#include "case.h"
#include "packed.h"

/* clang-format off */
__asm__(".section packed_too,\"ax\"\n" FILLER("wall_first")

  FUNCTION("host_lock") /* (counter, single thread) */
   "mov %rdi, %rdx\n test %esi, %esi\n je 1f\n .fill 5, 4, 0x00498d48\n .byte 0xf0\n1: incl (%rdx)\n"
   ".fill 28, 4, 0x00498d48\n mov (%rdx), %eax\n ret\n" END("host_lock")
  FUNCTION("tiny_lock") "mov %edi, %eax\n ret\n" END("tiny_lock")
  FILLER("wall_a")
  FUNCTION("tiny_threaded") "mov %edi, %eax\n ret\n" END("tiny_threaded")
  FUNCTION("host_threaded")
   "mov %esi, %eax\n"
   "threaded_label: imul $3, %eax, %eax\n add $7, %eax\n add $8, %rdi\n jmp *(%rdi)\n"
   "threaded_end: ret\n" END("host_threaded")
  FILLER("wall_b")
  FUNCTION("tiny_zeros") "mov %edi, %eax\n ret\n" END("tiny_zeros")
  ".Lzero: .zero 16\n"
  FUNCTION("host_zeros") "movups .Lzero(%rip), %xmm0\n movq %xmm0, %rax\n jmp *zeros_slot(%rip)\n" END("host_zeros")
  FUNCTION("zeros_end") "ret\n .fill 200, 1, 0x98\n" END("zeros_end")
  FILLER("wall_c")
  FUNCTION("thunk") "call 1f\n2: pause\n lfence\n jmp 2b\n1: mov %rax, (%rsp)\n ret\n .fill 20,1,0x98\n" END("thunk")
  FILLER("wall_d_too")
  FUNCTION("tiny_thunk") "mov %edi, %eax\n ret\n" END("tiny_thunk")
  FUNCTION("host_thunk")
   "mov %esi, %ecx\n"
   "thunk_label: imul $3, %ecx, %ecx\n add $7, %ecx\n add $8, %rdi\n mov (%rdi), %rax\n jmp thunk\n"
   "thunk_end: mov %ecx, %eax\n ret\n" END("host_thunk")
  FILLER("wall_d")
  FUNCTION("tiny_cold") "mov %edi, %eax\n ret\n" END("tiny_cold")
  FUNCTION("host_cold")
   "test %esi, %esi\n jne host_cold_part\n"
   "cold_label: add $3, %edi\n lea 1(%rdi), %eax\n ret\n" END("host_cold")
  FILLER("wall_e")
  ".section cold_too,\"ax\"\n" FUNCTION("host_cold_part")
   ".byte 0x81,0xf7\n.long 0x55\n lea cold_table(%rip), %rax\n and $1, %esi\n jmp *(%rax,%rsi,8)\n" END("host_cold_part")
  ".data\n.balign 8\n"
  "threaded_program: .quad threaded_label, threaded_label, threaded_end\n"
  "zeros_slot: .quad zeros_end\n"
  "thunk_program: .quad thunk_label, thunk_label, thunk_end\n"
  "cold_table: .quad cold_label, cold_label\n.text\n");
/* clang-format on */

int tiny_lock(int), tiny_threaded(int), tiny_zeros(int), tiny_thunk(int), tiny_cold(int);
int host_lock(int *, int), host_threaded(void *, int), host_thunk(void *, int), host_cold(int, int);
long host_zeros(void);
extern void *threaded_program[], *thunk_program[];

int main(void) {
  for (int i = 0; i < 9; i++) {
    int counter = i;
    REQUIRE(tiny_lock(i) == i && tiny_threaded(i) == i && tiny_zeros(i) == i && tiny_thunk(i) == i && tiny_cold(i) == i);
    REQUIRE(host_lock(&counter, 0) == i + 1 && host_lock(&counter, 1) == i + 2);
    REQUIRE(host_threaded(threaded_program, i) == (i * 3 + 7) * 3 + 7);
    REQUIRE(host_thunk(thunk_program, i) == (i * 3 + 7) * 3 + 7);
    REQUIRE(host_cold(i, 0) == i + 4 && host_cold(i, 1) == (i ^ 0x55) + 4);
    REQUIRE(host_zeros() == 0);
  }
}
