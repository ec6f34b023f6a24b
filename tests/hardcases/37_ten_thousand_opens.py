#!/usr/bin/python3
"""A library opened and closed 10,000 times, in turn with another at the same address: counts are exact, memory stays bounded, its
functions keep their entries; an IFUNC of a library opened later that has no constructor to come before (10c has the others) is timed once
its library is known to be relocated.

timeout: 300
"""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "plugin.c": """
        __attribute__((noinline)) int NAME(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + NUMBER; }
        __attribute__((noinline)) int both(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x - NUMBER; }\n""",
    "ifunc.c": """
        static __attribute__((noinline)) int chosen(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x * 3; }
        static int (*resolve(void))(int) { return chosen; }
        int picked(int x) __attribute__((ifunc("resolve")));
        int through(int x) { return picked(x); }\n""",
    "main.c": """#include <dlfcn.h>
        #include <stdio.h>
        #include <string.h>
        static long memory(const char *what) {
          char line[256];
          long value = 0;
          FILE *file = fopen("/proc/self/status", "r");
          while (fgets(line, sizeof line, file))
            if (!strncmp(line, what, strlen(what))) sscanf(line + strlen(what), "%ld", &value);
          fclose(file);
          return value;
        }
        int main(void) {
          long sum = 0, size = 0, resident = 0;
          for (int round = 0; round < 10000; round++) {
            void *handle = dlopen(round % 2 ? "./one.so" : "./two.so", RTLD_NOW);
            int (*work)(int) = (int (*)(int))dlsym(handle, round % 2 ? "one" : "two");
            int (*both)(int) = (int (*)(int))dlsym(handle, "both");
            if (!work || !both) return puts(dlerror()), 1;
            for (int i = 0; i < 10; i++) sum += work(i) + both(i);
            dlclose(handle);
            if (round == 2000) size = memory("VmSize:"), resident = memory("VmRSS:");
          }
          if (memory("VmSize:") > size + 2048) printf("grown by %ld kB\\n", memory("VmSize:") - size);
          if (memory("VmRSS:") > resident + 2048) printf("grown by %ld kB of RSS\\n", memory("VmRSS:") - resident);
          void *handle = dlopen("./ifunc.so", RTLD_NOW);
          int (*through)(int) = (int (*)(int))dlsym(handle, "through");
          for (int i = 0; i < 1000; i++) sum += through(i);
          dlopen("./one.so", RTLD_NOW); /* any other library: ifunc.so is relocated by now */
          for (int i = 0; i < 1000; i++) sum += through(i);
          printf("%ld\\n", sum);
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
for number, name in ((1, "one"), (2, "two")):
    compile_source("plugin.c", f"{name}.so", ["-O2", "-shared", "-fPIC", f"-DNAME={name}", f"-DNUMBER={number}"])
compile_source("ifunc.c", "ifunc.so", ["-O2", "-shared", "-fPIC", "-nostartfiles"])
main = compile_source("main.c")
for options in ({"timing.budget": "off"}, {}):
    result = same_behaviour([main], trace=["one", "two", "both", "picked"], options=options).report()
    check(result.calls("one") == 50_000 and result.calls("two") == 50_000, f"{result.calls('one')} and {result.calls('two')} calls, expected 50000")
    check(result.calls("both", "one.so") == 50_000 and result.calls("both", "two.so") == 50_000, "calls of both, by module")
    check(len(result.functions) == 5, f"functions: {[(f['name'], f['module']) for f in result.functions]}")
    check(result.calls("picked") == 1000, f"the IFUNC: {result.calls('picked')} calls, expected 1000, skipped: {result.skipped('picked')}")
    check(result.skipped("picked") is None, "the IFUNC is not among the skipped functions any more")
    check(result["self"]["memory_bytes"] < 64 << 20, f"{result['self']['memory_bytes']} bytes of memory")
