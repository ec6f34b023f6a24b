#!/usr/bin/python3
"""A program with a million symbols starts in little more time, with one pattern and with fifty of all kinds (under a second of CPU time), and the one
function that is asked for is found.

timeout: 240
"""
import resource
import time

from refunc_test import check, compile_source, measured, plain, preloaded

with open("many.S", "w", encoding="ascii") as file:
    file.write(".text\n.altmacro\n.macro one number\n.type function_\\number, @function\nfunction_\\number: ret\n"
               ".size function_\\number, 1\n.endm\n.set counter, 0\n.rept 1000000\none %counter\n.set counter, counter + 1\n.endr\n"
               ".section .note.GNU-stack, \"\", @progbits\n")
with open("main.c", "w", encoding="ascii") as file:
    file.write('#include <stdio.h>\n__attribute__((noinline, noclone)) int wanted(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }\n'
               'int main(void) { int x = 0; for (int i = 0; i < 100; i++) x = wanted(x); printf("%d\\n", x); }\n')
program = compile_source("main.c", flags=["-O2", "many.S"])
check(plain([program]).status == 0, "without Refunc")
start = time.monotonic()
run = preloaded([program], trace="wanted")
took = time.monotonic() - start
check(run.status == 0 and run.report().calls("wanted") == 100, f"{run}")
check(took < 5, f"took {took:.1f} s")


def fifty():
    patterns = ["wanted", *(f"absent_{i}_name" for i in range(15)), *(f"absent_{i}*of" for i in range(15)), *(f"/^absent{i}_[a-z]+$/" for i in range(10)),
                *(f"ns::Absent{i}::run" for i in range(9))]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = preloaded([program], trace=patterns)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result = asked.report()
    check(len(patterns) == 50 and result.calls("wanted") == 100 and len(result["unmatched"]) == 49, f"{len(patterns)} patterns, {asked}")
    print(f"fifty patterns: {cpu:.2f} s of CPU time")
    check(cpu < 1, f"took {cpu:.2f} s of CPU time")


measured(fifty)
