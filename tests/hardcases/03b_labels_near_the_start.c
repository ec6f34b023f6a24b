/*
 * Instructions under the jump that are entered by labels: through tables of distances and of addresses, by
 * differences of labels, by `push label; ret`, through a table that another function's data holds; and a
 * table that leads back to the function's own beginning, which is no call. What is merely pointed at for live
 * patching stays timed.
 * flags: -O2
 * flags: -O2 -no-pie -fno-pie -DFIXED
 * flags: -O2 -Wl,-z,pack-relative-relocs
 * flags: -O2 -shared-libgcc -Wl,-z,noseparate-code
 * trace: by_*, patchable, plain
 * option: timing.budget=off
 * skipped: by_distances its first 5 bytes are branched into
 * skipped: by_addresses its first 5 bytes are branched into
 * skipped: by_differences its first 5 bytes are branched into
 * skipped: by_push its first 5 bytes are branched into
 * skipped: by_others its first 5 bytes are branched into
 * skipped: by_beginning its first 5 bytes are branched into
 * calls: patchable 12
 * calls: plain 12
 */
#include "case.h"
#include "packed.h"

#ifdef FIXED
#define GO_BY_TABLE "jmp *addresses(,%rax,8)\n"
#define TAKE(label, reg) "mov $" label ", %" reg "\n"
#else
#define GO_BY_TABLE "lea addresses(%rip), %rcx\n jmp *(%rcx,%rax,8)\n"
#define TAKE(label, reg) "lea " label "(%rip), %" reg "\n"
#endif

/* clang-format off */
#define SAVE "push %rbx\n.cfi_def_cfa_offset 16\n.cfi_offset rbx, -16\n"

__asm__(".text\n"
  FUNCTION("by_distances") SAVE
   "by_distances_1: xor %eax, %eax\n movzbl (%rdi), %eax\n inc %rdi\n lea distances(%rip), %rcx\n movslq (%rcx,%rax,4), %rax\n add %rcx, %rax\n"
   "lea 1(%rsi), %esi\n jmp *%rax\n"
   "by_distances_2: mov %esi, %eax\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n" END("by_distances")
  FUNCTION("by_addresses") SAVE
   "by_addresses_1: lea 1(%rsi), %esi\n movzbl (%rdi), %eax\n inc %rdi\n" GO_BY_TABLE
   "by_addresses_2: mov %esi, %eax\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n" END("by_addresses")
  FUNCTION("by_differences") SAVE
   "by_differences_1: lea 1(%rsi), %esi\n movzbl (%rdi), %eax\n inc %rdi\n lea differences(%rip), %rcx\n movsbq (%rcx,%rax), %rax\n"
   TAKE("by_differences_2", "rcx") "add %rcx, %rax\n jmp *%rax\n nop\n"
   "by_differences_2: mov %esi, %eax\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n" END("by_differences")
  FUNCTION("by_push") SAVE
   "by_push_1: lea 1(%rsi), %esi\n movzbl (%rdi), %eax\n inc %rdi\n test %eax, %eax\n je 1f\n mov %esi, %eax\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n"
   "1: .cfi_def_cfa_offset 16\n" TAKE("by_push_1", "rcx") "push %rcx\n ret\n" END("by_push")
  FUNCTION("by_others") SAVE
   "by_others_1: lea 1(%rsi), %esi\n movzbl (%rdi), %eax\n inc %rdi\n jmp *(%rdx,%rax,8)\n"
   "by_others_2: mov %esi, %eax\n pop %rbx\n.cfi_def_cfa_offset 8\n ret\n" END("by_others")
  FUNCTION("by_beginning")
   "lea 1(%rsi), %esi\n movzbl (%rdi), %eax\n inc %rdi\n"
#ifdef FIXED
   "jmp *beginnings(,%rax,8)\n"
#else
   "lea beginnings(%rip), %rcx\n movslq (%rcx,%rax,4), %rax\n add %rcx, %rax\n jmp *%rax\n"
#endif
   "by_beginning_2: mov %esi, %eax\n ret\n" END("by_beginning")
  FUNCTION("patchable") "endbr64\npatchable_place: nop\n nop\n lea 2(%rdi), %eax\n ret\n" END("patchable")
  FUNCTION("plain") "mov %edi, %eax\n jmp *plain_slot(%rip)\n" END("plain")
  FUNCTION("plain_end") "ret\n" END("plain_end")
  ".section .rodata\n.balign 4\n"
  "distances: .long by_distances_1 - distances, by_distances_2 - distances\n"
#ifdef FIXED
  ".balign 8\nbeginnings: .quad by_beginning, by_beginning_2\n"
#else
  "beginnings: .long by_beginning - beginnings, by_beginning_2 - beginnings\n"
#endif
  "differences: .byte by_differences_1 - by_differences_2, 0\n"
  ".section .data.rel.ro,\"aw\"\n.balign 8\n"
  "addresses: .quad by_addresses_1, by_addresses_2\n"
  "others: .quad by_others_1, by_others_2\n"
  "plain_slot: .quad plain_end\n"
  ".section __patchable_function_entries,\"aw\"\n.balign 8\n .quad patchable_place\n.text\n");
/* clang-format on */

int by_distances(const char *, int), by_addresses(const char *, int), by_differences(const char *, int),
    by_push(const char *, int), by_others(const char *, int, void *), by_beginning(const char *, int),
    patchable(int), plain(int);
extern char others[];

int main(void) {
  static const char bytes[] = {0, 0, 0, 1};
  for (int i = 0; i < 12; i++) {
    REQUIRE(by_distances(bytes, i) == i + 4 && by_addresses(bytes, i) == i + 4 &&
            by_differences(bytes, i) == i + 4);
    REQUIRE(by_push(bytes, i) == i + 4 && by_others(bytes, i, others) == i + 4 &&
            by_beginning(bytes, i) == i + 4);
    REQUIRE(patchable(i) == i + 2 && plain(i) == i);
  }
}
