#!/usr/bin/python3
"""Programs built with AddressSanitizer and ThreadSanitizer, and valgrind: same behaviour, or a clear word that they refuse.

timeout: 240
"""
import shutil
import subprocess

from refunc_test import TOOL, check, compile_source, plain, preloaded, same_behaviour

with open("work.c", "w", encoding="ascii") as file:
    file.write("""#include <pthread.h>
    #include <stdio.h>
    #include <stdlib.h>
    __attribute__((noinline)) int work(int x) { char *p = malloc(100); p[x % 100] = 1; x += p[x % 100]; free(p); return x; }
    static void *run(void *unused) { int x = 0; for (int i = 0; i < 1000; i++) x = work(x); return (void *)(long)x; }
    int main(void) {
      pthread_t thread;
      void *result;
      pthread_create(&thread, 0, run, 0);
      pthread_join(thread, &result);
      printf("%ld %ld\\n", (long)result, (long)run(0));
    }\n""")
VARIANTS = [("gcc", ["-fsanitize=address", "-static-libasan"]), ("gcc", ["-fsanitize=thread", "-static-libtsan"]),
            ("gcc", ["-fsanitize=undefined"]), ("clang", ["-fsanitize=address"]), ("clang", ["-fsanitize=thread"])]
for compiler, flags in VARIANTS:
    program = compile_source("work.c", "work", ["-O2", "-pthread", *flags], compiler)
    check(plain([program]).status == 0, f"{compiler} {flags} without Refunc")
    try:
        run = same_behaviour([program], trace="work")
        if b"not recorded" in run.stderr:
            continue
        result = run.report()
        check(result.calls("work") == 2000 or result.skipped("work"), f"{result.calls('work')} calls")
    except AssertionError as failure:
        raise AssertionError(f"{compiler} {flags}: {failure}") from None

# The shared runtime insists on coming first and refuses to start behind any preload.
program = compile_source("work.c", "shared", ["-O2", "-pthread", "-fsanitize=address"])
done = subprocess.run([TOOL, "run", "--", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
check((done.returncode == 125 and b"anitizer" in done.stderr) or done.stdout == b"1000 1000\n", f"{done}")

if shutil.which("valgrind"):
    program = compile_source("work.c", "bare", ["-O2", "-pthread"])
    before, after = plain(["valgrind", "-q", program]), preloaded(["valgrind", "-q", program], trace="work")
    check((after.status, after.stdout) == (before.status, before.stdout), f"valgrind: {before} {after}")
