#!/usr/bin/python3
"""Every way to end in the middle of traced calls, three deep: the same status, all calls counted, those that did not return are open or unwound."""
from refunc_test import check, compile_source, plain, preloaded

with open("ends.c", "w", encoding="ascii") as file:
    file.write("""#define _GNU_SOURCE
    #include <pthread.h>
    #include <sched.h>
    #include <signal.h>
    #include <spawn.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/syscall.h>
    #include <sys/wait.h>
    #include <unistd.h>
    #define TRACED __attribute__((noinline, noclone))
    #define LONG __asm__ volatile("nop; nop; nop; nop; nop")
    extern char **environ;
    TRACED int work(int x) { LONG; return x + 1; }
    static void *leave(void *how) { exit(6); return how; }
    static void *others(void *how) { for (;;) pause(); return how; }
    static void after(void) { for (int i = 0; i < 10; i++) work(i); }
    TRACED int innermost(const char *how) {
      pthread_t thread;
      char *echo[] = {"true", NULL}, *nothing[] = {"/no/such", NULL};
      int status = 0, failed;
      LONG;
      for (int i = 0; i < 1000; i++) status = work(i);
      if (!strcmp(how, "exit")) exit(4);
      if (!strcmp(how, "atexit")) atexit(after), exit(4);
      if (!strcmp(how, "_exit")) _exit(5);
      if (!strcmp(how, "_Exit")) _Exit(7);
      if (!strcmp(how, "quick_exit")) at_quick_exit(after), quick_exit(8);
      if (!strcmp(how, "exit_group")) syscall(SYS_exit_group, 9);
      if (!strcmp(how, "abort")) abort();
      if (!strcmp(how, "segv")) *(volatile int *)8 = 1;
      if (!strcmp(how, "trap")) __builtin_trap();
      if (!strcmp(how, "thread")) pthread_create(&thread, 0, leave, 0), pthread_join(thread, 0);
      if (!strcmp(how, "pthread_exit")) pthread_exit(0);
      if (!strcmp(how, "exec")) execv("/bin/true", echo);
      if (!strcmp(how, "exec_from_thread")) pthread_create(&thread, 0, others, 0), execv("/bin/true", echo);
      if (!strcmp(how, "failed_exec")) execv(nothing[0], nothing);
      if (!strcmp(how, "vfork")) {
        if (vfork() == 0) execv("/bin/true", echo), _exit(1);
        wait(&status);
      }
      if (!strcmp(how, "vfork_exit")) {
        if (vfork() == 0) work(1), _exit(0);
        wait(&status);
      }
      if (!strcmp(how, "spawn")) failed = posix_spawn(&thread_id, "/bin/true", 0, 0, echo, environ), wait(&status);
      if (!strcmp(how, "returns") || !strcmp(how, "failed_exec") || !strcmp(how, "vfork") || !strcmp(how, "vfork_exit") || !strcmp(how, "spawn")) return 2;
      raise(atoi(how));
      return 1;
    }
    TRACED int middle(const char *how) { int below = innermost(how); LONG; return below + 1; }
    TRACED int outer(const char *how) { int below = middle(how); LONG; return below + 1; }
    int main(int argc, char **argv) { return outer(argv[1]); }\n""".replace("&thread_id", "&(pid_t){0}"))
program = compile_source("ends.c", flags=["-O2", "-pthread", "-w"])
RETURN = ("returns", "failed_exec", "vfork", "vfork_exit", "spawn")
EXTRA = {"atexit": 10, "quick_exit": 10, "vfork_exit": 1}
WAYS = [*RETURN, "exit", "atexit", "_exit", "_Exit", "quick_exit", "exit_group", "abort", "segv", "trap", "thread", "pthread_exit",
        "exec", "exec_from_thread", "15", "2", "9"]
for options in ({"timing.budget": "off"}, {}, {"refunc.preset": "full"}):
    for way in WAYS:
        what = f"{way} {options}"
        before, after = plain([program, way]), preloaded([program, way], trace=["work", "outer", "middle", "innermost"], options=options)
        check((after.status, after.stdout, after.own_stderr) == (before.status, before.stdout, before.own_stderr), f"{what}: {before} {after}")
        files = [name for name in after.files() if "/ends." in name]
        check(len(files) == 1, f"{what}: {after.files()}")
        result = after.report(*files)
        check(result.calls("work") == 1000 + EXTRA.get(way, 0), f"{what}: {result.calls('work')} calls of work")
        for name in ("outer", "middle", "innermost"):
            check(result.calls(name) == 1, f"{what}: {name}: {result.calls(name)} calls")
        ended = [(function["open"], function["unwound"]) for function in map(result.function, ("outer", "middle", "innermost"))]
        expected = (0, 0) if way in RETURN else (0, 1) if way == "pthread_exit" else (1, 0)
        check(ended == 3 * [expected], f"{what}: open and unwound {ended}, expected {expected}")
