#!/usr/bin/python3
"""dlclose while calls of the library are in flight: it stays open by another handle, from its own function by a jump to dlclose, from a traced callback
that its function calls, from its destructor's company; other threads call it, and open and close the same library, all the while."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "plugin.c": """#include <dlfcn.h>
        __attribute__((noinline)) int work(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
        int closes(void *handle) { work(1); return dlclose(handle); } /* a jump: nothing of it is left to return to */
        int calls(int (*back)(void *), void *handle) { int x = back(handle); __asm__ volatile("nop; nop; nop; nop; nop"); return work(x); }
        __attribute__((destructor)) static void ends(void) { work(2); }\n""",
    "main.c": """#include <dlfcn.h>
        #include <pthread.h>
        #include <stdio.h>
        #include <stdlib.h>
        static volatile int stop;
        static void *symbol(void *handle, const char *name) {
          void *found = handle ? dlsym(handle, name) : NULL;
          if (!found) puts(dlerror()), exit(3);
          return found;
        }
        /* Closes one handle of two: what calls it goes on. */
        __attribute__((noinline)) int back(void *handle) { __asm__ volatile("nop; nop; nop; nop; nop"); return dlclose(handle); }
        static void *opens(void *name) { /* with a count of its own, so that it comes and goes, and is used in between */
          for (int i = 0; i < 300; i++) {
            void *handle = dlopen(name, RTLD_NOW);
            int (*work)(int) = symbol(handle, "work");
            for (int k = 0; k < 10; k++) if (work(k) != k + 1) exit(4);
            dlclose(handle);
          }
          return NULL;
        }
        int main(void) {
          pthread_t threads[4];
          for (int i = 0; i < 200; i++) { /* alone: the library goes each time */
            void *handle = dlopen("./alone.so", RTLD_NOW);
            int (*closes)(void *) = symbol(handle, "closes");
            if (closes(handle) || dlopen("./alone.so", RTLD_NOW | RTLD_NOLOAD)) return puts("not closed"), 1;
            void *first = dlopen("./alone.so", RTLD_NOW), *second = dlopen("./alone.so", RTLD_NOW);
            int (*calls)(int (*)(void *), void *) = symbol(first, "calls");
            if (calls(back, first) != 1) return 2;
            dlclose(second);
          }
          for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, opens, i < 2 ? "./one.so" : "./two.so");
          for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
          puts("done");
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
for name in ("alone", "one", "two"):
    compile_source("plugin.c", f"{name}.so", ["-O2", "-shared", "-fPIC", f"-Wl,-soname,{name}.so"])  # else they were one file by their build-id
program = compile_source("main.c", flags=["-D_GNU_SOURCE", "-O2", "-pthread"])
for options in ({"timing.budget": "off"}, {}, {"refunc.preset": "full"}):
    for _ in range(3):
        result = same_behaviour([program], trace=["work", "closes", "calls", "back", "ends"], options=options).report()
        # Twice a round the library goes, and its destructor calls work.
        check(result.calls("work", "alone.so") == 800, f"{options}: {result.calls('work', 'alone.so')} calls of work")
        for name, calls in (("closes", 200), ("calls", 200), ("back", 200), ("ends", 400)):
            found = [function for function in result.find(name) if function["module"] in ("alone.so", "main")]
            check(sum(function["calls"] for function in found) == calls, f"{options}: {name}: {found}")
            check(not any(function["open"] or function["unwound"] for function in found), f"{options}: {name}: {found}")
        threads = result.calls("work", "one.so") + result.calls("work", "two.so")
        ends = sum(function["calls"] for function in result.find("ends") if function["module"] != "alone.so")
        check(threads == 4 * 300 * 10 + ends, f"{options}: {threads} calls by threads, {ends} closes")
