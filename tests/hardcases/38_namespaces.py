#!/usr/bin/python3
"""RTLD_DEEPBIND and dlmopen: the program behaves the same, and calls are counted in every namespace, from the constructors on; a library in
several namespaces is one function."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "plugin.c": """#include <stdlib.h>
        #include <string.h>
        __attribute__((noinline)) int work(int x) { char *copy = strdup("text"); x += (int)strlen(copy); free(copy); return x; }
        __attribute__((constructor)) static void begins(void) { work(1); }\n""",
    "main.c": """#include <dlfcn.h>
        #include <stdio.h>
        int main(void) {
          long sum = 0;
          void *handles[] = {dlopen("./plugin.so", RTLD_NOW | RTLD_DEEPBIND), dlmopen(LM_ID_NEWLM, "./plugin.so", RTLD_NOW),
                             dlmopen(LM_ID_NEWLM, "./plugin.so", RTLD_NOW)};
          for (int h = 0; h < 3; h++) {
            if (!handles[h]) return puts(dlerror()), 1;
            int (*work)(int) = (int (*)(int))dlsym(handles[h], "work");
            for (int i = 0; i < 100; i++) sum += work(i);
          }
          if (dlclose(handles[1])) return 2;
          int (*work)(int) = (int (*)(int))dlsym(handles[2], "work");
          for (int i = 0; i < 100; i++) sum += work(i);
          printf("%ld\\n", sum);
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
compile_source("plugin.c", "plugin.so", ["-O2", "-shared", "-fPIC"])
program = compile_source("main.c", flags=["-D_GNU_SOURCE"])
for options in ({}, {"timing.budget": "off"}):
    result = same_behaviour([program], trace="plugin.so!work", options=options).report()
    check(result.calls("work") == 403, f"{result.calls('work')} calls, expected 3 of constructors and 400")
