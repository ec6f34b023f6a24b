/* Environment details beside the numbers: get_system_info; and the preset is one of quick, full, debug. */
#include <refunc.h>
#include <stdio.h>

int main(void) {
  struct refunc_system_info info;
  if (refunc_get_system_info(&info) != 0) {
    puts("not under Refunc");
    return 0;
  }
  printf("%s: %s, %lu CPUs, %.1f GiB, %s, Refunc %s\n", info.hostname, info.cpu_model,
         (unsigned long)info.cpu_count, (double)info.memory_bytes / (1 << 30), info.kernel,
         info.refunc_version);
  return 0;
}
