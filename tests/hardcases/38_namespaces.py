#!/usr/bin/python3
"""RTLD_DEEPBIND and dlmopen: the program behaves the same, and what can be seen is counted."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "plugin.c": """#include <stdlib.h>
        #include <string.h>
        __attribute__((noinline)) int work(int x) { char *copy = strdup("text"); x += (int)strlen(copy); free(copy); return x; }\n""",
    "main.c": """#include <dlfcn.h>
        #include <stdio.h>
        int main(void) {
          long sum = 0;
          void *handles[] = {dlopen("./plugin.so", RTLD_NOW | RTLD_DEEPBIND), dlmopen(LM_ID_NEWLM, "./plugin.so", RTLD_NOW)};
          for (int h = 0; h < 2; h++) {
            if (!handles[h]) return puts(dlerror()), 1;
            int (*work)(int) = (int (*)(int))dlsym(handles[h], "work");
            for (int i = 0; i < 100; i++) sum += work(i);
          }
          printf("%ld\\n", sum);
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
compile_source("plugin.c", "plugin.so", ["-O2", "-shared", "-fPIC"])
result = same_behaviour([compile_source("main.c", flags=["-D_GNU_SOURCE"])], trace="plugin.so!work").report()
check(result.calls("work") in (100, 200), f"{result.calls('work')} calls: 100 in the program's namespace, 100 in another one")
