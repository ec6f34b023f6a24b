#!/usr/bin/python3
"""Libraries opened and closed by several threads while others call timed functions; and one whose only function is refused, which must
leave nothing behind that the next one stumbles over."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "plugin.c": """#include <stdlib.h>
        __attribute__((constructor)) static void starts(void) { free(malloc(10)); }
        __attribute__((noinline)) int inner(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }
        int outer(int x) { int sum = 0; for (int i = 0; i < 10; i++) sum += inner(x); return sum; }\n""",
    "refused.c": """__asm__(".globl refused; .type refused, @function; refused: lea (%rbx,%rdi), %rax; nopl 0(%rax); ret; .size refused, .-refused");\n""",
    "main.c": """#include <dlfcn.h>
        #include <pthread.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        __attribute__((noinline)) int work(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x * 3; }
        static volatile int stop;
        static void open_and_call(const char *name) {
          void *handle = dlopen(name, RTLD_NOW);
          int (*outer)(int) = handle ? (int (*)(int))dlsym(handle, "outer") : NULL;
          if (!outer) puts(dlerror()), exit(3);
          for (int i = 0; i < 20; i++) if (outer(i) != 10 * (i + 1)) exit(4);
          dlclose(handle);
        }
        static void *opens(void *number) {
          char name[32];
          sprintf(name, "./plugin%ld.so", (long)number);
          for (int i = 0; i < 50; i++) open_and_call(name);
          return NULL;
        }
        static void *calls(void *unused) {
          while (!stop) { if (work(1) != 3) exit(5); free(strdup("x")); }
          return unused;
        }
        int main(void) {
          pthread_t threads[6];
          dlclose(dlopen("./refused.so", RTLD_NOW));
          open_and_call("./plugin0.so");
          for (long i = 0; i < 6; i++) pthread_create(&threads[i], NULL, i < 2 ? calls : opens, (void *)i);
          for (int i = 2; i < 6; i++) pthread_join(threads[i], NULL);
          stop = 1;
          for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
          puts("done");
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
for number in (0, 2, 3, 4, 5):
    compile_source("plugin.c", f"plugin{number}.so", ["-O2", "-shared", "-fPIC"])
compile_source("refused.c", "refused.so", ["-shared", "-fPIC"])
program = compile_source("main.c", flags=["-O2", "-pthread"])
result = same_behaviour([program], trace=["refused", "inner", "outer", "work"], options={"timing.budget": "off"}).report()
check(result.calls("inner") == 201 * 200, f"inner: {result.calls('inner')} calls, expected {201 * 200}")
check(result.skipped("refused"), "the refused function is not listed")
same_behaviour([program], trace="*")
