#!/usr/bin/python3
"""Libraries opened later call functions that no jump can be put into, from their constructors on: bound at once or at the first call,
by PLT or GOT, closed and opened again in turns, their addresses reused. The called library comes with them, was there before, or is
opened for all. What would be bound to another function of that name is; a library that the loader keeps for its caller stays."""
import os

from refunc_test import check, compile_source, same_behaviour

FILES = {
    "library.c": """#include "refused.h"
        int version = 1;\n""",
    "plugin.c": """#include <stdio.h>
        #include <stdlib.h>
        void refused_empty(void);
        int refused_loop(int (*call)(void));
        static int left;
        static int countdown(void) { return --left > 0; }
        __attribute__((constructor)) static void starts(void) { for (int i = 0; i < 10; i++) refused_empty(); }
        int NAME(int n) {
          for (int i = 0; i < n; i++) refused_empty();
          left = 3;
          if (refused_loop(countdown)) abort();
          return n;
        }\n""",
    "main.c": """#include <dlfcn.h>
        #include <stdio.h>
        #include <stdlib.h>
        #ifndef ROUNDS
        #define ROUNDS 20
        #endif
        static int own;
        static long size(void) { /* in pages, of all that is mapped */
          long pages = 0;
          FILE *file = fopen("/proc/self/statm", "r");
          if (file && fscanf(file, "%ld", &pages) != 1) pages = 0;
          if (file) fclose(file);
          return pages;
        }
        #ifdef INTERPOSED
        void refused_empty(void) { own++; }
        #endif
        int main(int count, char **arguments) {
          int flags = atoi(arguments[1]) ? RTLD_NOW : RTLD_LAZY;
          long sum = 0, before = 0;
        #ifdef FOR_ALL
          void *library = dlopen("./libpacked.so", RTLD_NOW | RTLD_GLOBAL);
          if (!library) return puts(dlerror()), 1;
        #endif
          for (int round = 0; round < ROUNDS; round++) {
            const char *path = arguments[2 + round % (count - 2)];
            void *handle = dlopen(path, flags);
            int (*work)(int) = handle ? (int (*)(int))dlsym(handle, "work") : 0;
            if (!work) return puts(dlerror()), 1;
            sum += work(50);
        #ifdef FOR_ALL
            if (round == ROUNDS - 1) dlclose(library); /* it stays: the plugin was bound to it */
        #endif
            sum += work(50);
            dlclose(handle);
            if (round == 100) before = size();
          }
          if (before && size() > before + 1024) printf("grown by %ld pages\\n", size() - before);
          printf("%ld %d\\n", sum, own);
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
compile_source("library.c", "libpacked.so", ["-O2", "-shared", "-fPIC", "-Wl,-soname,libpacked.so"])
NEEDS = ["./libpacked.so", "-Wl,-rpath,."]
WAYS = {"lazy": ["-Wl,-z,lazy"], "now": ["-Wl,-z,now"], "noplt": ["-fno-plt"], "norelro": ["-fno-plt", "-Wl,-z,norelro"]}
for way, flags in WAYS.items():
    compile_source("plugin.c", f"{way}.so", ["-O2", "-shared", "-fPIC", "-DNAME=work", *flags, *NEEDS])
    compile_source("plugin.c", f"{way}-free.so", ["-O2", "-shared", "-fPIC", "-DNAME=work", *flags])
brings = compile_source("main.c", "brings", ["-O2"])
has = compile_source("main.c", "has", ["-O2", "-Wl,--no-as-needed", *NEEDS])
opens = compile_source("main.c", "opens", ["-O2", "-DFOR_ALL"])
interposes = compile_source("main.c", "interposes", ["-O2", "-DINTERPOSED", "-rdynamic"])


def run(program, now, *plugins):
    return same_behaviour([program, str(now), *[f"./{plugin}.so" for plugin in plugins]], trace="refused_*",
                          options={"timing.budget": "off"}).report()


def counted(what, result, empty, loop):
    for name, expected in (("refused_empty", empty), ("refused_loop", loop)):
        check(result.calls(name) == expected, f"{what}: {name}: {result.calls(name)} calls, expected {expected}; {result['skipped']}")
    check(not result["skipped"], f"{what}: {result['skipped']}")


for now in (0, 1):
    for plugins in (("lazy",), ("now", "noplt"), ("lazy", "norelro", "now")):
        for program in (brings, has):
            what = f"{os.path.basename(program)} {now} {plugins}"
            counted(what, run(program, now, *plugins), 20 * 110, 20 * 2)
    for plugins in (("now-free", "noplt-free"), ("norelro-free",)):
        counted(f"opens {now} {plugins}", run(opens, now, *plugins), 20 * 110, 20 * 2)
counted("opens 1 lazy", run(opens, 1, "lazy-free"), 20 * 110, 20 * 2)
# Bound at the first call to a library that only the loader knows it needs: left to the loader, and met when it next says something.
result = run(opens, 0, "lazy-free")
check(result.calls("refused_empty") < 20 * 110, f"opens 0 lazy: {result.calls('refused_empty')} calls")
for now in (0, 1):
    for plugins in (("lazy",), ("now",)):
        result = run(interposes, now, *plugins)
        check(result.calls("refused_empty", "libpacked") == 0, f"interposes {now} {plugins}: {result.functions}")
        check(result.calls("refused_loop") == 40, f"interposes {now} {plugins}: {result.functions}")
many = compile_source("main.c", "many", ["-O2", "-DROUNDS=400"])
counted("400 rounds", run(many, 0, "lazy", "noplt"), 400 * 110, 400 * 2)
