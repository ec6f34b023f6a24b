#!/usr/bin/python3
"""Every way to end: the same status as without Refunc, a readable recording that has the calls and says how it ended."""
from refunc_test import check, compile_source, plain, preloaded

with open("ends.c", "w", encoding="ascii") as file:
    file.write("""#include <pthread.h>
    #include <signal.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    __attribute__((noinline, noclone)) int work(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
    static void *leave(void *how) { exit(6); return how; }
    int main(int argc, char **argv) {
      const char *how = argv[1];
      int n = 0;
      for (int i = 0; i < 1000; i++) n = work(n);
      pthread_t thread;
      if (!strcmp(how, "return")) return 3;
      if (!strcmp(how, "exit")) exit(4);
      if (!strcmp(how, "_exit")) _exit(5);
      if (!strcmp(how, "_Exit")) _Exit(7);
      if (!strcmp(how, "quick_exit")) quick_exit(8);
      if (!strcmp(how, "exit_group")) syscall(SYS_exit_group, 9);
      if (!strcmp(how, "thread")) pthread_create(&thread, 0, leave, 0), pthread_join(thread, 0);
      if (!strcmp(how, "main_thread")) pthread_create(&thread, 0, leave, 0), pthread_exit(0);
      if (!strcmp(how, "abort")) abort();
      if (!strcmp(how, "segv")) *(volatile int *)8 = 1;
      if (!strcmp(how, "trap")) __builtin_trap();
      raise(atoi(how));
      return 1;
    }\n""")
program = compile_source("ends.c", flags=["-O2", "-pthread", "-w"])
WAYS = ["return", "exit", "_exit", "_Exit", "quick_exit", "exit_group", "thread", "main_thread", "abort", "segv", "trap", "15", "2", "9"]
for way in WAYS:
    before, after = plain([program, way]), preloaded([program, way], trace="work", options={"timing.budget": "off"})
    check((after.status, after.stdout, after.own_stderr) == (before.status, before.stdout, before.own_stderr), f"{way}: {before} {after}")
    result = after.report()
    check(result.calls("work") == 1000, f"{way}: {result.calls('work')} calls")
    kind, code = result["process"]["exit"]["kind"], result["process"]["exit"]["code"]
    if before.status >= 0 and way != "exit_group":
        check((kind, code) == ("exited", before.status), f"{way}: {kind} {code}, expected exited {before.status}")
    else:
        check(kind in ("signaled", "lost") or way == "exit_group", f"{way}: {kind} {code}")
