#!/usr/bin/python3
"""Names of a stripped program come from its debuglink file, its build-id's file, or its .gnu_debugdata; a stripped one keeps what it exports."""
import os
import subprocess

from refunc_test import check, compile_source, need, same_behaviour

need("objcopy", "xz")
with open("main.c", "w", encoding="ascii") as file:
    file.write('#include <stdio.h>\n__attribute__((noinline, noclone)) static int hidden(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }\n'
               '__attribute__((noinline)) int exported(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 2; }\n'
               'int main(void) { int x = 0; for (int i = 0; i < 100; i++) x = exported(hidden(x)); printf("%d\\n", x); }\n')


def tool(*argv):
    subprocess.run(argv, check=True)


def counts(program):
    result = same_behaviour([os.path.abspath(program)], trace=["hidden", "exported"]).report()
    return {function["name"]: function["calls"] for function in result.functions}


compile_source("main.c", "full", ["-O2", "-rdynamic", "-Wl,--build-id=none"])
BOTH = {"hidden": 100, "exported": 100}
check(counts("full") == BOTH, "with its symbols")

tool("objcopy", "--strip-all", "full", "bare")
check(counts("bare") == {"exported": 100}, f"stripped: {counts('bare')}")

tool("objcopy", "--only-keep-debug", "full", "linked.debug")
tool("objcopy", "--strip-all", "--add-gnu-debuglink=linked.debug", "full", "linked")
check(counts("linked") == BOTH, f"debuglink: {counts('linked')}")
with open("linked.debug", "ab") as debug:
    debug.write(b"altered")
check(counts("linked") == {"exported": 100}, "a debuglink file with another checksum is not the program's")

tool("objcopy", "-S", "--remove-section=.gdb_index", "--remove-section=.comment", "--keep-symbol=hidden", "full", "mini.symbols")
tool("xz", "-k", "mini.symbols")
tool("objcopy", "--strip-all", "--add-section=.gnu_debugdata=mini.symbols.xz", "full", "minidebug")
check(counts("minidebug") == BOTH, f"MiniDebugInfo: {counts('minidebug')}")
