#!/usr/bin/python3
"""A double free and a wild free end the program as they do without Refunc: by glibc's words and SIGABRT."""
import signal

from refunc_test import check, compile_source, plain, preloaded

with open("wild.c", "w", encoding="ascii") as file:
    file.write("""#include <stdlib.h>
    int main(int argc, char **argv) {
      char *volatile block = malloc(2000), *volatile next = malloc(2000);
      if (argc > 1) free(block + 24);
      else free(block), free(next), free(next);
      return 0;
    }\n""")
program = compile_source("wild.c", flags=["-O0", "-w"])
for arguments in ([], ["wild"]):
    for mode in ("counters", "exact"):
        before, after = plain([program, *arguments]), preloaded([program, *arguments], options={"heap.mode": mode})
        check(before.status == -signal.SIGABRT, f"without Refunc: {before.status}")
        check(after.status == before.status and after.own_stderr == before.own_stderr, f"{arguments} {mode}: {before} {after}")
        check(after.report()["process"]["exit"]["kind"] in ("signaled", "lost"), f"{after.report()['process']}")
