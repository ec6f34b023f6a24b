#!/usr/bin/python3
"""A signal at every instruction of calls that are met at their slots, whose handler unwinds: stub, entry, body and the vDSO's code all
show who called."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "library.c": '#include "refused.h"\nint version = 1;\n',
    "main.c": """#define _GNU_SOURCE
        #include <execinfo.h>
        #include <signal.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/syscall.h>
        #include <time.h>
        #include <ucontext.h>
        void refused_empty(void);
        int refused_loop(int (*call)(void));
        static volatile long traps, lost;
        static char *work_start, *work_end;
        static int left;
        static int countdown(void) { return --left > 0; }
        static void trapped(int number, siginfo_t *info, void *context) {
          void *frames[32];
          greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
          (void)number, (void)info;
          traps++; /* a trap while it is blocked would kill */
          if (!memcmp((void *)registers[REG_RIP], "\\x0f\\x05", 2) && registers[REG_RAX] == SYS_rt_sigprocmask) registers[REG_EFL] &= ~0x100;
          int depth = backtrace(frames, 32), found = 0;
          for (int i = 0; i < depth; i++) found |= (char *)frames[i] > work_start && (char *)frames[i] < work_end;
          if (!found && lost++ < 3) fprintf(stderr, "trap %ld at %p, depth %d\\n", traps, (void *)registers[REG_RIP], depth);
        }
        static inline void step(int on) {
          if (on) __asm__ volatile("pushfq\\n orq $0x100, (%%rsp)\\n popfq" ::: "memory", "cc");
          else __asm__ volatile("pushfq\\n andq $~0x100, (%%rsp)\\n popfq" ::: "memory", "cc");
        }
        __attribute__((noinline, section("work_text"))) static time_t work(int n) {
          volatile int *kept = __builtin_alloca((size_t)(64 + n) * sizeof *kept); /* so with a frame pointer: step() moves the stack pointer */
          time_t sum = 0;
          for (int i = 0; i < 6; i++) {
            left = 3;
            step(1);
            refused_empty();
            refused_loop(countdown);
            sum += time(0) > 1700000000;
            step(0);
            kept[i] = i;
          }
          return sum + kept[0];
        }
        int main(void) {
          extern char __start_work_text[], __stop_work_text[];
          struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
          void *warm[4];
          work_start = __start_work_text, work_end = __stop_work_text;
          backtrace(warm, 4); /* loads libgcc */
          refused_empty(), left = 1, refused_loop(countdown), time(0); /* what is bound at the first call is bound now */
          sigaction(SIGTRAP, &action, 0);
          long sum = work(0);
          printf("%ld %d %ld\\n", sum, traps > 200, lost);
          return lost != 0;
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text.replace('"\x0f\x05"', '"\\x0f\\x05"'))
compile_source("library.c", "libpacked.so", ["-O2", "-shared", "-fPIC", "-Wl,-soname,libpacked.so"])
for flags in ("-Wl,-z,now", "-fno-plt"):
    program = compile_source("main.c", flags=["-O2", *flags.split(), "./libpacked.so", "-Wl,-rpath,."])
    for budget in ("off", "5%"):
        result = same_behaviour([program], trace=["refused_*", "time"], options={"timing.budget": budget}).report()
        for name in ("refused_empty", "refused_loop", "time"):
            check(result.calls(name) == 7, f"{flags}, {budget}: {name} {result.calls(name)} calls")
