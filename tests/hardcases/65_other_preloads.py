#!/usr/bin/python3
"""Another preloaded library before or after, that interposes malloc and exit too: both work."""
import os

from refunc_test import PRELOAD, check, compile_source, plain, preload_environment, execute, report

FILES = {
    "other.c": """#include <dlfcn.h>
        #include <stdio.h>
        #include <stddef.h>
        static long calls;
        void *malloc(size_t size) {
          static void *(*next)(size_t);
          if (!next) next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
          calls++;
          return next(size);
        }
        __attribute__((destructor)) static void end(void) { printf("%s\\n", calls > 99 ? "seen" : "unseen"); }\n""",
    "main.c": """#include <stdlib.h>
        __attribute__((noinline, noclone)) void *work(int x) { return malloc((size_t)x); }
        int main(void) { for (int i = 0; i < 100; i++) free(work(i)); }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
other = compile_source("other.c", "libother.so", ["-O2", "-shared", "-fPIC", "-D_GNU_SOURCE"])
program = compile_source("main.c", flags=["-O2", "-fno-builtin"])
expected = plain([program], env={"LD_PRELOAD": other})
check(expected.stdout == b"seen\n", expected.stdout)
for order in (f"{other}:{PRELOAD}", f"{PRELOAD}:{other}", f"{PRELOAD} {other}"):
    environment, recordings = preload_environment("work")
    run = execute([program], {**environment, "LD_PRELOAD": order})
    check((run.status, run.stdout, run.own_stderr) == (0, b"seen\n", b""), f"{order}: {run}")
    result = report(*(os.path.join(recordings, name) for name in os.listdir(recordings)))
    check(result.calls("work") == 100 and result["heap"]["alloc_calls"] >= 100, f"{order}: {result.calls('work')}")
