#!/usr/bin/python3
"""Functions that no jump can be put into are timed where other modules' slots lead to them: slots of PLTs bound at start or at the
first call, read-only or not, and calls through a GOT's slot whose value is used, too. Every call is counted, exceptions pass, pointers
to the functions stay what they are."""
import shutil
import subprocess

from refunc_test import TOOL, check, compile_source, preloaded, same_behaviour

FILES = {
    "library.c": """#include "refused.h"
        extern void refused_empty(void);
        void *library_knows(void) { return (void *)refused_empty; }\n""",
    "main.cc": """#include <dlfcn.h>
        #include <stdio.h>
        #include <string.h>
        extern "C" {
          void refused_empty(void);
          int refused_loop(int (*call)(void));
          void *library_knows(void);
        }
        static int left, thrown;
        extern "C" __attribute__((noinline)) void tailing(void) { refused_empty(); } /* a jump, which is moved where this is patched */
        static int countdown(void) { return --left > 0; }
        static int throwing(void) { throw 7; }
        static void *volatile taken;
        int main() {
          int same = 1;
          for (int i = 0; i < 10; i++)
            try { refused_loop(throwing); } catch (int number) { thrown += number == 7; }
          for (int i = 0; i < 980; i++) refused_empty();
          for (int i = 0; i < 20; i++) tailing();
          for (int i = 0; i < 100; i++) {
            left = 3;
            if (refused_loop(countdown) != 0 || left != 0) puts("wrong");
          }
        #ifdef TAKEN
          taken = (void *)refused_empty;
          for (int i = 0; i < 50; i++) ((void (*)())taken)();
          same = taken == library_knows() && taken == dlsym(RTLD_DEFAULT, "refused_empty");
        #endif
          printf("%d %d\\n", thrown, same);
        }\n""",
    "caller.c": """void refused_empty(void);
        void caller(int n) { while (n--) refused_empty(); }\n""",
    "interposes.c": """#include <stdio.h>
        static int own;
        void refused_empty(void) { own++; }
        void caller(int n);
        int main(void) { caller(20), printf("%d\\n", own); }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
compile_source("library.c", "libpacked.so", ["-O2", "-shared", "-fPIC", "-Wl,-soname,libpacked.so"])
LINKED = ["-O2", "./libpacked.so", "-Wl,-rpath,."]
VARIANTS = {  # flags: calls of refused_empty
    "-Wl,-z,lazy": 1000, "-Wl,-z,lazy -DTAKEN": 1000, "-Wl,-z,now": 1000, "-Wl,-z,now -DTAKEN": 1000, "-Wl,-z,norelro": 1000,
    "-fno-plt": 1000, "-fno-plt -DTAKEN": 1000, "-fno-plt -Wl,-z,norelro -DTAKEN": 1000,
    # The PLT's entry is the function's address there, and whoever calls by that comes through the slot.
    "-no-pie -fno-pie -Wl,-z,lazy": 1000, "-no-pie -fno-pie -Wl,-z,lazy -DTAKEN": 1050, "-no-pie -fno-pie -Wl,-z,now -DTAKEN": 1050}

for linker in ("gold", "lld", "mold"):
    if shutil.which(f"ld.{linker}"):
        VARIANTS.update({f"-fuse-ld={linker} -Wl,-z,lazy": 1000, f"-fuse-ld={linker} -Wl,-z,now -DTAKEN": 1000})


def attempt(what, program, calls, **how):
    for budget in ("off", "5%"):
        result = same_behaviour([program], trace=["refused_*", "tailing"], options={"timing.budget": budget}, **how).report()
        for name, expected in (("refused_empty", calls), ("refused_loop", 110)):
            check(result.calls(name) == expected, f"{what}: {name}: {result.calls(name)} calls, expected {expected}; {result['skipped']}")
            check(result.function(name)["entry"] == "slots", f"{what}: {name} is entered by {result.function(name)['entry']}")
        check(result.calls("tailing") == 20, f"{what}: {result.functions}")
        check(not result["skipped"], f"{what}: {result['skipped']}")
        if budget == "off":
            check(result.function("refused_loop")["unwound"] == 10, f"{what}: {result.function('refused_loop')}")


for flags, calls in VARIANTS.items():
    attempt(flags, compile_source("main.cc", flags=[*LINKED, *flags.split()]), calls)
attempt("LD_BIND_NOW", compile_source("main.cc", flags=[*LINKED, "-Wl,-z,lazy"]), 1000, env={"LD_BIND_NOW": "1"})

# What a name stands for is looked up by the loader's rules: here the program's own function, though a library has one, too.
compile_source("caller.c", "libcaller.so", ["-O2", "-shared", "-fPIC", "-Wl,-soname,libcaller.so,-z,lazy", "./libpacked.so"])
program = compile_source("interposes.c", flags=["-O2", "-rdynamic", "-Wl,--no-as-needed,-rpath,.", "./libcaller.so", "./libpacked.so"])
result = same_behaviour([program], trace=["libpacked.so!refused_*"]).report()
check(result.skipped("refused_empty") and not result.functions, f"interposed: {result.functions}, {result['skipped']}")

# Rules hold there as anywhere: the body does not run where one is violated.
with open("ruled.c", "w", encoding="ascii") as file:
    file.write("""#include <stdio.h>
        #include <time.h>
        int main(void) {
          time_t now = 0, sum = 0;
          for (int i = 0; i < 100; i++) sum += time(i % 10 ? &now : NULL) == 5;
          printf("%ld %d\\n", (long)sum, now > 1700000000);
        }\n""")
with open("ruled.yaml", "w", encoding="ascii") as file:
    file.write("functions:\n  time:\n    args: { arg1: not null }\n    on_violation: return 5\n    memory: on\n")
run = preloaded([compile_source("ruled.c")], env={"REFUNC_CONFIG": "ruled.yaml"})
check(run.stdout == b"10 1\n", f"{run}")
check(run.report().function("time")["violations"] == 10, f"{run.report().functions}")
text = subprocess.run([TOOL, "report", *run.files()], stdout=subprocess.PIPE, check=True, text=True).stdout
check("\u00b0time " in text and "only calls through other modules' PLT and GOT" in text, text)
text = subprocess.run([TOOL, "check", "--trace", "refused_*", "--", "./interposes"], stdout=subprocess.PIPE, check=False, text=True).stdout
check("refused_loop" in text.split("would not be timed")[1], text)  # nothing calls it there
text = subprocess.run([TOOL, "check", "--trace", "time", "--", "./ruled"], stdout=subprocess.PIPE, check=False, text=True).stdout
check("1 function would be timed" in text and "(calls from other modules)" in text, text)
