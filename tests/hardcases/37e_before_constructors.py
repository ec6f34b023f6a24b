#!/usr/bin/python3
"""Libraries are patched before their constructors run: other preloaded ones before and after Refunc, those that the program is linked with, and
Python's extension modules, whose first call follows their opening at once."""
import os

from refunc_test import PRELOAD, check, compile_source, execute, need, preload_environment, preloaded, report

with open("library.c", "w", encoding="ascii") as file:
    file.write('__attribute__((noinline)) int NAME(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }\n'
               "__attribute__((constructor)) static void begins(void) { for (int i = 0; i < 10; i++) NAME(i); }\n")
with open("main.c", "w", encoding="ascii") as file:
    file.write("int linked(int); int main(void) { return linked(6) - 7; }\n")
for name in ("before", "after", "linked"):
    compile_source("library.c", f"lib{name}.so", ["-O2", "-shared", "-fPIC", f"-DNAME={name}"])
program = compile_source("main.c", flags=["-O2", os.path.abspath("liblinked.so")])
environment, recordings = preload_environment(["before", "after", "linked"])
environment["LD_PRELOAD"] = ":".join((os.path.abspath("libbefore.so"), PRELOAD, os.path.abspath("libafter.so")))
run = execute([program], environment)
check(run.status == 0, f"{run}")
result = report(*(os.path.join(recordings, name) for name in os.listdir(recordings)))
for name, calls in (("before", 10), ("after", 10), ("linked", 11)):
    check(result.calls(name) == calls, f"{name}: {result.calls(name)} calls, expected {calls}")

python = need("/usr/bin/python3")
SCRIPT = """
import importlib, os, sysconfig
folder = os.path.join(sysconfig.get_path("stdlib"), "lib-dynload")
names = sorted(name.split(".")[0] for name in os.listdir(folder) if name.endswith(".so") and "test" not in name)
done = []
for name in names:
    try:
        module = importlib.import_module(name)
    except ImportError:
        continue
    if getattr(module, "__file__", None): done.append(name)
try:
    import numpy.core._multiarray_umath
    done.append("_multiarray_umath")
except ImportError:
    pass
print(" ".join(done))
"""
run = preloaded([python, "-c", SCRIPT], trace="*.so!PyInit_*")
check(run.status == 0, f"{run}")
names, result = run.stdout.decode().split(), run.report()
check(len(names) > 15, f"only {names}")
for name in names:
    expected = 2 if name == "_asyncio" else 1  # it imports what imports it
    check(result.calls(f"PyInit_{name}") == expected, f"PyInit_{name}: {result.calls(f'PyInit_{name}')} calls; {result.skipped(f'PyInit_{name}')}")
