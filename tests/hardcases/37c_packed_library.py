#!/usr/bin/python3
"""A library whose functions need room made in their neighbours is opened, closed and opened again; another one takes its place in
between, in which unwinding from every instruction must know nothing of what was changed in the first."""
from refunc_test import ROOT, check, compile_source, same_behaviour

FILES = {
    "packed.c": """#include "packed.h"
        int calls(int x) {
          int sum = tiny_zero() + tiny_same(x) + tiny_jump(x) + tiny_same_too(x) + host_sum(x, 3) + turned_far(x) + turned_near(x) + turned_tail(x);
          return sum + turned_both(x + 1) + enters_both(x + 1, x) + host_second(x) + host_third(x);
        }\n""",
    "other.c": """__asm__(".section packed,\\"ax\\"\\n.globl steps\\n.type steps, @function\\nsteps: .cfi_startproc\\npush %rbx\\n.cfi_def_cfa_offset 16\\n"
                "mov %edi, %ebx\\n.fill 1500, 1, 0x90\\nmov %ebx, %eax\\npop %rbx\\n.cfi_def_cfa_offset 8\\nret\\n.cfi_endproc\\n.size steps, .-steps\\n.text\\n");
        int steps(int);
        int calls(int x) { return steps(x) + 1; }\n""",
    "main.c": """#define _GNU_SOURCE
        #include <dlfcn.h>
        #include <execinfo.h>
        #include <signal.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/syscall.h>
        #include <ucontext.h>
        static volatile long traps, lost;
        static void trapped(int number, siginfo_t *info, void *context) {
          void *frames[32];
          greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
          (void)number, (void)info;
          traps++; /* a trap while it is blocked would kill */
          if (!memcmp((void *)registers[REG_RIP], "\\x0f\\x05", 2) && registers[REG_RAX] == SYS_rt_sigprocmask) registers[REG_EFL] &= ~0x100;
          int depth = backtrace(frames, 32), found = 0;
          for (int i = 0; i < depth; i++) {
            Dl_info symbol;
            found |= dladdr(frames[i], &symbol) && symbol.dli_sname && !strcmp(symbol.dli_sname, "main");
          }
          lost += !found;
        }
        static inline void step(int on) {
          if (on) __asm__ volatile("pushfq\\n orq $0x100, (%%rsp)\\n popfq" ::: "memory", "cc");
          else __asm__ volatile("pushfq\\n andq $~0x100, (%%rsp)\\n popfq" ::: "memory", "cc");
        }
        __attribute__((noinline)) int main(void) {
          volatile int *kept = __builtin_alloca(64); /* so with a frame pointer: step() moves the stack pointer */
          void *warm[2], *first = 0;
          long sum = 0;
          kept[0] = 0;
          backtrace(warm, 2);
          struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
          sigaction(SIGTRAP, &action, 0);
          for (int round = 0; round < 12; round++) {
            void *handle = dlopen(round % 2 ? "./other.so" : "./packed.so", RTLD_NOW);
            int (*calls)(int) = handle ? (int (*)(int))dlsym(handle, "calls") : 0;
            if (!calls) return puts(dlerror()), 1;
            if (!first) first = (void *)calls;
            for (int i = 0; i < 20; i++) sum += calls(i);
            step(1);
            int stepped = calls(round);
            step(0);
            sum += stepped;
            dlclose(handle);
          }
          printf("%ld %d %ld\\n", sum, traps > 5000, lost);
          return lost != 0;
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
for name in ("packed", "other"):
    compile_source(f"{name}.c", f"{name}.so", ["-O2", "-shared", "-fPIC", "-Wl,-Bsymbolic", f"-I{ROOT}/tests/lib"])
result = same_behaviour([compile_source("main.c", flags=["-O2", "-rdynamic"])], trace=["tiny_*", "turned_*", "host_*"],
                        options={"timing.budget": "off"}).report()
for name in ("tiny_same", "tiny_same_too", "turned_far", "turned_tail", "turned_both", "host_second"):
    expected = 6 * 21 * (2 if name == "tiny_same" else 1)
    check(result.calls(name) == expected, f"{name}: {result.calls(name)} calls, expected {expected}; skipped: {result['skipped']}")
