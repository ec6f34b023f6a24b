#!/usr/bin/python3
"""No room or right to write: a limit on file sizes, a full disk, a directory that isn't there or isn't writable. The program runs on."""
import os
import resource
import subprocess

from refunc_test import check, compile_source, preload_environment

with open("work.c", "w", encoding="ascii") as file:
    file.write("""#include <stdio.h>
    #include <stdlib.h>
    __attribute__((noinline, noclone)) int work(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); free(malloc(100)); return x + 1; }
    int main(void) { int x = 0; for (int i = 0; i < 100000; i++) x = work(x); printf("%d\\n", x); return 5; }\n""")
program = compile_source("work.c", flags=["-O2"])


def run(what, output, limit=None):
    environment, _ = preload_environment("work", {"refunc.preset": "full"})
    environment.update(REFUNC_OUTPUT=output, REFUNC_REPORT="stderr")
    done = subprocess.run([program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False,
                          preexec_fn=(lambda: resource.setrlimit(limit[0], (limit[1], limit[1]))) if limit else None)
    check((done.returncode, done.stdout) == (5, b"100000\n"), f"{what}: {done}")
    check(all(line.startswith(b"refunc:") for line in done.stderr.splitlines()), f"{what}: {done.stderr}")
    return done.stderr


run("a missing directory", "/nonexistent/directory/%p.rfn")
check(run("a file in place of a directory", "/etc/passwd/%p.rfn"), "nothing was said")
run("a device", "/dev/full")
run("a limit of no bytes", "%p.rfn", (resource.RLIMIT_FSIZE, 0))
run("a limit of 16 KiB", "%p.rfn", (resource.RLIMIT_FSIZE, 16384))
run("no more descriptors", "%p.rfn", (resource.RLIMIT_NOFILE, 4))
os.makedirs("locked", exist_ok=True)
os.chmod("locked", 0o500)
run("a directory that can't be written", "locked/%p.rfn")
