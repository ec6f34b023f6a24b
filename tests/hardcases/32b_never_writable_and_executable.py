#!/usr/bin/python3
"""No page is ever writable and executable at once, none that was not executable becomes so, at start, at dlopen and in refunc trace: the kernel refuses
both to the process (PR_SET_MDWE), and the functions are timed all the same. Without that kernel the calls are looked at by strace."""
import ctypes
import os
import re
import signal
import subprocess

from refunc_test import TOOL, check, compile_source, need, preload_environment, preloaded, report

PR_SET_MDWE, REFUSE_GAIN = 65, 1
with open("plugin.c", "w", encoding="ascii") as file:
    file.write('__attribute__((noinline)) int later(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }\n')
with open("main.c", "w", encoding="ascii") as file:
    file.write("""#include <dlfcn.h>
        #include <signal.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/mman.h>
        #include <unistd.h>
        __attribute__((noinline)) int early(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
        __attribute__((noinline)) int added(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
        static int maps(void) {
          char line[512];
          int found = 0;
          FILE *file = fopen("/proc/self/maps", "r");
          while (fgets(line, sizeof line, file)) found += strstr(line, " rwx") != NULL || strstr(line, " -wx") != NULL;
          fclose(file);
          return found;
        }
        static volatile sig_atomic_t stop;
        static void end(int number) { stop = number; }
        int main(int argc, char **argv) {
          int x = 0;
          signal(SIGTERM, end);
          void *plugin = dlopen("./plugin.so", RTLD_NOW);
          int (*later)(int) = (int (*)(int))dlsym(plugin, "later");
          for (int i = 0; i < 1000; i++) x = later(early(x));
          if (argc > 1) { /* it can be refused at all */
            void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (page != MAP_FAILED) return 3;
          }
          puts("ready"), fflush(stdout);
          while (argc > 2 && !stop) x = added(x), usleep(100);
          return maps() ? 4 : 0;
        }\n""")
compile_source("plugin.c", "plugin.so", ["-O2", "-shared", "-fPIC"])
program = compile_source("main.c", flags=["-O2"])
TRACE = ["early", "later", "libc.so.6!str*"]


def refuse():
    ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_GAIN, 0, 0, 0)


if ctypes.CDLL(None, use_errno=True).prctl(66, 0, 0, 0, 0) < 0:  # PR_GET_MDWE
    need("strace")
    environment, _ = preload_environment(TRACE)
    done = subprocess.run(["strace", "-f", "-e", "trace=mmap,mprotect,pkey_mprotect,mremap", "-o", "calls",
                           *(f"-E{name}={value}" for name, value in environment.items() if name.startswith(("REFUNC_", "LD_"))), program],
                          stdout=subprocess.PIPE, check=False)
    with open("calls", encoding="utf-8", errors="replace") as file:
        both = [line for line in file if re.search(r"PROT_WRITE\|PROT_EXEC", line)]
    check(done.returncode == 0 and not both, f"status {done.returncode}, {both}")
else:
    run = preloaded([program, "refused"], TRACE, {"timing.budget": "off"}, preexec=refuse)
    check(run.status == 0 and run.own_stderr == b"", f"{run}")
    result = run.report()
    for name in ("early", "later"):
        check(result.calls(name) == 1000, f"{name}: {result.calls(name)} calls, skipped: {result['skipped']}")
    check(not any("executable" in entry["reason"] for entry in result["skipped"]), f"{result['skipped'][:5]}")

    environment, recordings = preload_environment()
    with subprocess.Popen([program, "refused", "waits"], env=environment, stdout=subprocess.PIPE, preexec_fn=refuse) as process:
        check(process.stdout.readline() == b"ready\n", "the program says that it is ready")
        added = subprocess.run([TOOL, "trace", "add", "added", str(process.pid)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        process.send_signal(signal.SIGTERM)
    check(added.returncode == 0 and process.returncode == 0, f"{added}, status {process.returncode}")
    check(report(*(os.path.join(recordings, name) for name in os.listdir(recordings))).skipped("added") is None, "added is skipped")
