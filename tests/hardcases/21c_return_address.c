/*
 * Functions that take their return address off the stack or read it, as switches of stacks, libffi's call and
 * other languages' glue do, and what other runtimes make of their own code's names: left alone. What reads
 * its stack arguments, or pops what it pushed, is timed.
 * flags: -O2
 * trace: takes, moves, asks, asks_framed, reads_argument, reads_framed, pops_own, caml*, lj_*, main.pass
 * trace: behind
 * option: timing.budget=off
 * skipped: takes it asks for its caller
 * skipped: moves it asks for its caller
 * skipped: asks it asks for its caller
 * skipped: asks_framed it asks for its caller
 * skipped: camlList__map_12 OCaml
 * skipped: caml_c_call OCaml
 * skipped: lj_BC_ADDVV not entered by a call
 * skipped: main.pass Go
 * calls: caml_alloc_string 50
 * calls: behind 50
 * calls: reads_argument 50
 * calls: reads_framed 50
 * calls: pops_own 50
 */
#include "case.h"
#include "packed.h"

/* clang-format off */
__asm__(".text\n"
  FUNCTION("takes") "pop %rcx\n lea 1(%rdi), %eax\n push %rcx\n ret\n" END("takes")
  /* Returns from a place above the one that it was called to; the caller takes that off. */
  FUNCTION("moves") "mov (%rsp), %r10\n mov %rbp, %rcx\n lea 16(%rsp), %rbp\n mov %rcx, (%rbp)\n mov %r10, 8(%rbp)\n mov %rbp, %rsp\n"
   "call reads_nothing\n mov %rbp, %rsp\n pop %rbp\n ret\n" END("moves")
  FUNCTION("reads_nothing") "lea 2(%rdi), %eax\n nopl 0(%rax)\n ret\n" END("reads_nothing")
  FUNCTION("reads_argument") "push %rdi\n sub $16, %rsp\n mov 32(%rsp), %rax\n add $16, %rsp\n pop %rdi\n ret\n" END("reads_argument")
  FUNCTION("reads_framed") "push %rbp\n mov %rsp, %rbp\n mov 16(%rbp), %rax\n pop %rbp\n ret\n" END("reads_framed")
  FUNCTION("pops_own") "push %rbx\n push $5\n pop %rax\n pop %rbx\n ret\n" END("pops_own")
  FUNCTION("camlList__map_12") "lea 1(%rdi), %rax\n nopl 0(%rax)\n ret\n" END("camlList__map_12")
  FUNCTION("caml_c_call") "lea 1(%rdi), %rax\n nopl 0(%rax)\n ret\n" END("caml_c_call")
  FUNCTION("caml_alloc_string") "lea 1(%rdi), %rax\n nopl 0(%rax)\n ret\n" END("caml_alloc_string")
  FUNCTION("lj_BC_ADDVV") "lea 1(%rdi), %rax\n nopl 0(%rax)\n ret\n" END("lj_BC_ADDVV")
  ".globl \"runtime.text\"\n.type \"runtime.text\", @function\n\"runtime.text\":\n"
  FUNCTION("main.pass") "lea 1(%rdi), %rax\n nopl 0(%rax)\n ret\n" END("main.pass")
  ".globl \"runtime.etext\"\n.type \"runtime.etext\", @function\n\"runtime.etext\": .fill 16, 1, 0x90\n"
  FUNCTION("behind") "lea 1(%rdi), %rax\n nopl 0(%rax)\n ret\n" END("behind"));
/* clang-format on */

int takes(int), pops_own(void);
long camlList__map_12(long), caml_c_call(long), caml_alloc_string(long), lj_BC_ADDVV(long),
    pass(long) __asm__("main.pass"), behind(long);
TRACED void *asks(void) { return __builtin_return_address(0); }
__attribute__((noinline, noclone, optimize("no-omit-frame-pointer"))) void *asks_framed(void) {
  LONG;
  return __builtin_return_address(0);
}

static long with_argument(long (*f)(void), long argument) {
  long result;
  __asm__ volatile("sub $128, %%rsp\n push %2\n call *%1\n add $136, %%rsp"
                   : "=a"(result)
                   : "r"(f), "r"(argument)
                   : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
  return result;
}

static int moved(int x) {
  long result, argument = x;
  __asm__ volatile("sub $128, %%rsp\n sub $24, %%rsp\n call moves\n add $128, %%rsp"
                   : "=a"(result), "+D"(argument)
                   :
                   : "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "memory", "cc");
  return (int)result;
}

int main(void) {
  extern long reads_argument(void), reads_framed(void);
  extern char __executable_start[], etext[];
  for (int i = 0; i < 50; i++) {
    REQUIRE(takes(i) == i + 1 && moved(i) == i + 2 && pops_own() == 5);
    REQUIRE(with_argument(reads_argument, i) == i && with_argument(reads_framed, i) == i);
    char *caller = asks(), *framed = asks_framed();
    REQUIRE(caller > __executable_start && caller < etext && framed > __executable_start && framed < etext);
    REQUIRE(camlList__map_12(i) + caml_c_call(i) + caml_alloc_string(i) + lj_BC_ADDVV(i) + pass(i) +
                behind(i) ==
            6 * (i + 1));
  }
}
