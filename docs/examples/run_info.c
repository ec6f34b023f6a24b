/* Environment details beside the numbers: get_system_info; and the preset is one of quick, full, debug. */
#include <math.h>
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
  printf("%s, libc %s, load %.2f", info.os, info.libc_version, info.load_1m);
  if (!isnan(info.cpu_limit)) printf(", limited to %.3g CPUs", info.cpu_limit);
  if (*info.cpu_governor) printf(", governor %s", info.cpu_governor);
  if (info.gpu_count) printf(", %lu GPUs: %s", (unsigned long)info.gpu_count, info.gpu);
  puts(info.virtual_machine == 1 ? ", virtual" : "");
  return 0;
}
