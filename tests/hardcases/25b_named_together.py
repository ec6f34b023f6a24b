#!/usr/bin/python3
"""Functions that the linker folded into one (lld --icf=all), and aliases, are one function with the calls of all of them, found by any of their names."""
import subprocess

from refunc_test import TOOL, check, compile_source, need, preloaded

need("ld.lld")
NAMES = ("first_same", "second_same", "third_same")
with open("folded.c", "w", encoding="ascii") as file:
    file.write("#include <stdio.h>\n" + "".join(f"__attribute__((noinline, noclone)) int {name}(int x) {{ return x * 7 + 3; }}\n" for name in NAMES)
               + "__attribute__((noinline, noclone)) int different(int x) { return x * 5 + 2; }\n"
                 "int other_name(int x) __attribute__((alias(\"different\")));\n"
                 "int (*volatile one)(int) = first_same, (*volatile two)(int) = second_same;\n"
                 "int main(void) { long sum = 0; for (int i = 0; i < 100; i++) sum += first_same(i) + second_same(i) + third_same(i) + different(i) + other_name(i);\n"
                 "  printf(\"%ld\\n\", sum); return one != two; }\n")
program = compile_source("folded.c", flags=["-O2", "-ffunction-sections", "-fuse-ld=lld", "-Wl,--icf=all"])
for pattern, together, calls in [(name, NAMES, 300) for name in NAMES] + [(name, ("different", "other_name"), 200) for name in ("different", "other_name")]:
    run = preloaded([program], trace=pattern)
    check(run.status == 0, f"not folded: {run}")
    result = run.report()
    check(len(result.functions) == 1, f"{pattern}: {[function['name'] for function in result.functions]}")
    (function,) = result.functions
    check(function["calls"] == calls, f"{pattern}: {function['calls']} calls, expected {calls}")
    check(function["name"] == pattern, f"{pattern} is shown as {function['name']}")
    others = sorted(set(together) - {pattern})
    check(sorted(function["aliases"]) == others, f"{pattern}: also {function['aliases']}, expected {others}")
    shown = subprocess.run([TOOL, "report", *run.files()], stdout=subprocess.PIPE, check=True).stdout.decode()
    check(f"{pattern} is also {function['aliases'][0]}" in shown, shown)
