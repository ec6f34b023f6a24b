/* See identity.h. Raw system calls: at this time libc's own constructors have not run. */
#include "session/identity.h"

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "arch/arch.h"
#include "base/memory.h"
#include "elf/loader.h"
#include "recording/writer.h"

void rf_identity_find(struct rf_identity *identity) {
  long length = rf_syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", identity->executable,
                           sizeof identity->executable - 1);
  if (length < 0) length = 0;
  identity->executable[length] = '\0';
  const char *slash = strrchr(identity->executable, '/');
  const char *called = rf_loader_program_name();
  identity->name = called ? called : slash ? slash + 1 : identity->executable;
  struct utsname system = {0};
  rf_syscall(SYS_uname, &system);
  snprintf(identity->hostname, sizeof identity->hostname, "%s", system.nodename);
}

static void record_number(const char *key, uint64_t value) {
  char text[32];
  snprintf(text, sizeof text, "%lu", (unsigned long)value);
  rf_record_fact(key, text);
}

static void record_kernel(void) {
  struct utsname system = {0};
  char text[3 * sizeof system.release];
  rf_syscall(SYS_uname, &system);
  snprintf(text, sizeof text, "%s %s", system.sysname, system.release);
  rf_record_fact("kernel", text);
}

static void record_cpu(void) {
  char text[4096];
  long fd = rf_syscall(SYS_openat, AT_FDCWD, "/proc/cpuinfo", O_RDONLY | O_CLOEXEC);
  long length = fd < 0 ? 0 : rf_syscall(SYS_read, fd, text, sizeof text - 1);
  if (fd >= 0) rf_syscall(SYS_close, fd);
  text[length > 0 ? length : 0] = '\0';
  char *model = strstr(text, "model name"), *colon = model ? strchr(model, ':') : NULL;
  char *end = colon ? strchr(colon, '\n') : NULL;
  if (end) *end = '\0';
  rf_record_fact("cpu_model", end ? colon + 2 : "unknown");
  cpu_set_t cpus;
  long bytes = rf_syscall(SYS_sched_getaffinity, 0, sizeof cpus, &cpus);
  uint64_t count = 0;
  for (long i = 0; i < bytes; i++) count += (uint64_t)__builtin_popcount(((unsigned char *)&cpus)[i]);
  record_number("cpu_count", count);
}

static void record_memory(void) {
  struct sysinfo info = {0};
  if (rf_syscall(SYS_sysinfo, &info) == 0)
    record_number("memory_bytes", (uint64_t)info.totalram * info.mem_unit);
}

void rf_identity_record(const struct rf_identity *identity, int argc, char *const *argv) {
  char cwd[4096] = "";
  rf_record_fact("hostname", identity->hostname);
  record_kernel();
  record_cpu();
  record_memory();
  rf_record_fact("exe", identity->executable);
  for (int i = 0; i < argc && i < 256; i++) rf_record_fact("argv", argv[i]);
  if (rf_syscall(SYS_getcwd, cwd, sizeof cwd) > 0) rf_record_fact("cwd", cwd);
  rf_record_fact("refunc_version", REFUNC_VERSION);
}
