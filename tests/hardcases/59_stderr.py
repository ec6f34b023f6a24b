#!/usr/bin/python3
"""The exit report: lines of its own on stderr; never in a data file that took its place; none, and no death, in a dead pipe."""
import os
import subprocess

from refunc_test import check, compile_source, preload_environment, report

with open("ends.c", "w", encoding="ascii") as file:
    file.write("""#include <fcntl.h>
    #include <stdio.h>
    #include <string.h>
    #include <unistd.h>
    __attribute__((noinline, noclone)) int work(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
    int main(int argc, char **argv) {
      for (int i = 0; i < 100; i++) work(i);
      if (!strcmp(argv[1], "reuse")) { close(2); if (open("data", O_RDWR | O_CREAT | O_TRUNC, 0600) != 2) return 1; if (write(2, "data", 4) != 4) return 1; }
      if (!strcmp(argv[1], "close")) fclose(stderr);
      return 7;
    }\n""")
program = compile_source("ends.c", flags=["-O2"])


def run(how, **streams):
    environment, recordings = preload_environment("work")
    environment["REFUNC_REPORT"] = "stderr"
    done = subprocess.run([program, how], env=environment, stdout=subprocess.PIPE, timeout=60, check=False, **streams)
    check(done.returncode == 7 and done.stdout == b"", f"{how}: {done}")
    check(report(*(os.path.join(recordings, name) for name in os.listdir(recordings))).calls("work") == 100, how)
    return done.stderr


shown = run("open", stderr=subprocess.PIPE)
check(b"work" in shown and all(line.startswith(b"refunc:") for line in shown.splitlines()), f"{shown}")
check(b"work" in run("close", stderr=subprocess.PIPE), "a program that closes stderr at its end has its report all the same")
run("reuse", stderr=subprocess.PIPE)
with open("data", "rb") as file:
    check(file.read() == b"data", "something else is in the data file")
reader, writer = os.pipe()
os.close(reader)
run("open", stderr=writer)
os.close(writer)
for command in (["ls", "/"], ["sort", "/dev/null"], ["grep", "-c", "root", "/etc/passwd"]):
    environment, _ = preload_environment("no_such_function")
    environment["REFUNC_REPORT"] = "stderr"
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    check(done.returncode == 0 and done.stderr.startswith(b"refunc: "), f"{command}: {done}")
