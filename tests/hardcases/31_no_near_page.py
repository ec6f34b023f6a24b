#!/usr/bin/python3
"""A library loaded where nothing is free within 2 GB: its functions are skipped with a reason, or timed all the same."""
from refunc_test import check, compile_source, same_behaviour

FILES = {
    "plugin.c": '__attribute__((noinline)) int work(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }\n',
    "main.c": """#include <dlfcn.h>
        #include <link.h>
        #include <stdint.h>
        #include <stdio.h>
        #include <string.h>
        #include <sys/mman.h>
        static size_t length;
        static int measure(struct dl_phdr_info *info, size_t size, void *data) {
          if (!strstr(info->dlpi_name, "plugin.so")) return 0;
          for (int i = 0; i < info->dlpi_phnum; i++)
            if (info->dlpi_phdr[i].p_type == PT_LOAD) length = info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
          return 1;
        }
        static long use(void) {
          void *handle = dlopen("./plugin.so", RTLD_NOW);
          int (*work)(int) = (int (*)(int))dlsym(handle, "work");
          long sum = 0;
          for (int i = 0; i < 50; i++) sum += work(i);
          dl_iterate_phdr(measure, 0);
          dlclose(handle);
          return sum;
        }
        int main(void) {
          long first = use();
          length = (length + 4095) / 4096 * 4096;
          char *wide = mmap(0, 10ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
          if (wide == MAP_FAILED || munmap(wide + (5ul << 30), length)) return 1;
          printf("%ld %ld\\n", first, use());
        }\n"""}
for name, text in FILES.items():
    with open(name, "w", encoding="ascii") as file:
        file.write(text)
compile_source("plugin.c", "plugin.so", ["-O2", "-shared", "-fPIC"])
result = same_behaviour([compile_source("main.c", flags=["-D_GNU_SOURCE"])], trace="plugin.so!work").report()
check(result.calls("work") == 100 or (result.calls("work") == 50 and result.skipped("work")),
      f"{result.calls('work')} calls, skipped: {result['skipped']}")
