#!/usr/bin/python3
"""A library whose constructor starts threads that call traced functions while others are still being loaded."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "early.c": """#include <pthread.h>
        static pthread_t threads[4];
        __attribute__((noinline)) int early(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
        static void *run(void *x) { for (int i = 0; i < 50000; i++) early(i); return x; }
        __attribute__((constructor)) static void begin(void) { for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, run, 0); }
        void join(void) { for (int i = 0; i < 4; i++) pthread_join(threads[i], 0); }\n""",
    "main.c": "#include <stdio.h>\nvoid join(void);\nint main(void) { join(); puts(\"joined\"); }\n"}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
compile_source("early.c", "libearly.so", ["-O2", "-shared", "-fPIC", "-pthread"])
program = compile_source("main.c", flags=["./libearly.so"])
for _ in range(10):
    result = same_behaviour([program], trace="early").report()
    check(result.calls("early") == 200_000, f"{result.calls('early')} calls, expected 200000")
