/*
 * Functions that return twice or ask for their caller: refused, each with a reason, whatever asks for them; the program, which uses all of
 * them, behaves as ever.
 * flags: -O2 -rdynamic
 * trace: *setjmp*, *vfork*, dlsym, dlvsym, dlopen, dlmopen, *getcontext, swapcontext, makecontext, *longjmp*, work
 * option: timing.budget=off
 * skipped: _setjmp twice
 * skipped: __sigsetjmp twice
 * skipped: vfork twice
 * skipped: getcontext twice
 * skipped: dlsym caller
 * skipped: dlopen caller
 * calls: work 500
 * expect: not any(r.find(name) for name in ("setjmp", "_setjmp", "__sigsetjmp", "vfork", "getcontext", "swapcontext", "dlsym", "dlopen", "__longjmp"))
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) { LONG; return x + 1; }
int exported(void) { return 7; }
static jmp_buf plain;
static sigjmp_buf with_mask;

int main(void) {
  volatile int times = 0;
  for (int i = 0; i < 100; i++) {
    ucontext_t context;
    volatile int again = 0;
    if (!setjmp(plain)) work(i), longjmp(plain, 1);
    if (!sigsetjmp(with_mask, 1)) work(i), siglongjmp(with_mask, 1);
    getcontext(&context);
    if (!again++) work(i), setcontext(&context);
    REQUIRE(dlsym(RTLD_DEFAULT, "exported") == (void *)exported && dlsym(RTLD_NEXT, "exported") == 0);
    REQUIRE(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD));
    times += work(i) > 0;
    if (i % 10 == 0 && vfork() == 0) _exit(0);
    work(i);
  }
  while (wait(0) > 0) {
  }
  REQUIRE(times == 100);
}
