#!/usr/bin/python3
"""Two versions of one symbol in a library: each is a function with its own count, and callers get the one they were linked with."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "versions.map": "V1 { global: answer; local: *; };\nV2 { global: answer; } V1;\n",
    "answers.c": """__attribute__((noinline)) int old_answer(int x) { __asm__("nop; nop; nop; nop; nop"); return x + 1; }
                    __attribute__((noinline)) int new_answer(int x) { __asm__("nop; nop; nop; nop; nop"); return x + 2; }
                    __asm__(".symver old_answer, answer@V1"); __asm__(".symver new_answer, answer@@V2");\n""",
    "main.c": """#include <dlfcn.h>
                 #include <stdio.h>
                 int answer(int);
                 int main(void) {
                   int (*old)(int) = (int (*)(int))dlvsym(RTLD_DEFAULT, "answer", "V1");
                   long sum = 0;
                   for (int i = 0; i < 100; i++) sum += old(i);
                   for (int i = 0; i < 150; i++) sum += answer(i);
                   printf("%ld\\n", sum);
                 }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
compile_source("answers.c", "libanswers.so", ["-O2", "-shared", "-fPIC", "-Wl,--version-script=versions.map"])
run = same_behaviour([compile_source("main.c", flags=["-D_GNU_SOURCE", "./libanswers.so"])], trace="answer")
counts = sorted(function["calls"] for function in run.report().functions)
check(counts == [100, 150], f"calls {counts}, expected [100, 150]")
