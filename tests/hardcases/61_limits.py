#!/usr/bin/python3
"""Little address space, no more threads or descriptors: the program's output and status stay the same."""
import resource
import subprocess

from refunc_test import check, compile_source, preload_environment

with open("work.c", "w", encoding="ascii") as file:
    file.write("""#include <errno.h>
    #include <stdio.h>
    #include <stdlib.h>
    __attribute__((noinline, noclone)) int work(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
    int main(void) {
      int x = 0;
      for (int i = 0; i < 100000; i++) x = work(x);
      for (int i = 0; i < 1000; i++) free(malloc((size_t)i * 100));
      printf("%d\\n", x);
      return 5;
    }\n""")
program = compile_source("work.c", flags=["-O2"])
for name, value in (("RLIMIT_AS", 12 << 20), ("RLIMIT_AS", 40 << 20), ("RLIMIT_AS", 200 << 20), ("RLIMIT_NPROC", 0),
                    ("RLIMIT_NOFILE", 4), ("RLIMIT_DATA", 4 << 20), ("RLIMIT_MEMLOCK", 0), ("RLIMIT_STACK", 128 << 10)):
    limit = getattr(resource, name)
    for preset in ("default", "debug"):
        environment, _ = preload_environment("work", {"refunc.preset": preset, "refunc.log": "error"})
        done = subprocess.run([program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False,
                              preexec_fn=lambda: resource.setrlimit(limit, (value, value)))
        check((done.returncode, done.stdout) == (5, b"100000\n"), f"{name}={value} {preset}: {done}")
