#!/usr/bin/python3
"""Libraries opened, closed and opened again, at an address that is reused; their constructors are timed too."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "plugin.c": """#include <stdio.h>
        __attribute__((noinline)) int NAME(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + NUMBER; }
        __attribute__((constructor)) static void starts(void) { for (int i = 0; i < 10; i++) if (NAME(i) != i + NUMBER) puts("wrong"); }
        __attribute__((destructor)) static void ends(void) { NAME(0); }\n""",
    "main.c": """#include <dlfcn.h>
        #include <stdio.h>
        int main(void) {
          long sum = 0;
          for (int round = 0; round < 30; round++) {
            void *handle = dlopen(round % 2 ? "./one.so" : "./two.so", RTLD_NOW);
            int (*work)(int) = (int (*)(int))dlsym(handle, round % 2 ? "one" : "two");
            if (!work) return puts(dlerror()), 1;
            for (int i = 0; i < 100; i++) sum += work(i);
            dlclose(handle);
          }
          printf("%ld\\n", sum);
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
for number, name in ((1, "one"), (2, "two")):
    compile_source("plugin.c", f"{name}.so", ["-O2", "-shared", "-fPIC", f"-DNAME={name}", f"-DNUMBER={number}"])
result = same_behaviour([compile_source("main.c")], trace=["one", "two", "starts"]).report()
# 15 rounds of each: 100 calls, 10 of the constructor, 1 of the destructor.
for name in ("one", "two"):
    check(result.calls(name) == 15 * 111, f"{name}: {result.calls(name)} calls, expected {15 * 111}")
check(result.calls("starts") == 30, f"constructors: {result.calls('starts')} calls, expected 30")
