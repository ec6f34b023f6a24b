#!/usr/bin/python3
"""Indirect functions of a library that is opened later, whose resolvers may run only when it is relocated, are timed from its
constructors on; a resolver looks at what relocation has put in place."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "plugin.c": """#include <stdio.h>
        #include <stdlib.h>
        static int first(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
        static int second(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 2; }
        static int (*const table[])(int) = {first, second}; /* relocated */
        static int (*resolve(void))(int) { return table[1]; }
        int chosen(int x) __attribute__((ifunc("resolve")));
        __attribute__((constructor)) static void starts(void) { for (int i = 0; i < 10; i++) if (chosen(i) != i + 2) abort(); }
        int work(int n) { for (int i = 0; i < n; i++) if (chosen(i) != i + 2) abort(); return n; }\n""",
    "main.c": """#include <dlfcn.h>
        #include <stdio.h>
        int main(int count, char **arguments) {
          long sum = 0;
          for (int round = 0; round < 10; round++) {
            void *handle = dlopen("./plugin.so", count > 1 ? RTLD_NOW : RTLD_LAZY);
            int (*work)(int) = handle ? (int (*)(int))dlsym(handle, "work") : 0;
            if (!work) return puts(dlerror()), 1;
            sum += work(90);
            dlclose(handle);
          }
          printf("%ld\\n", sum);
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
compile_source("plugin.c", "plugin.so", ["-O2", "-shared", "-fPIC"])
program = compile_source("main.c")
for arguments in ([], ["now"]):
    result = same_behaviour([program, *arguments], trace="chosen").report()
    check(result.calls("chosen") == 1000, f"{arguments}: {result.calls('chosen')} calls, expected 1000; {result['skipped']}")
