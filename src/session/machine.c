/* See machine.h. The control group's CPU limit is that of the group or of one around it, whichever is lower.
 */
#include "session/machine.h"

#include <fcntl.h>
#include <gnu/libc-version.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "arch/arch.h"
#include "recording/writer.h"

#define GROUPS "/sys/fs/cgroup"
#define GOVERNOR "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
#define FREQUENCY "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"
#define HUGE_PAGES "/sys/kernel/mm/transparent_hugepage/enabled"

enum { OS, GOVERNED, MAX_HZ, LIMIT, HUGE, VIRTUAL, LOAD, FACTS };
static const struct {
  const char *key, *why; /* why: it is not known */
} facts[FACTS] = {
    [OS] = {"os", "/etc/os-release does not say"},
    [GOVERNED] = {"cpu_governor", "the kernel does not govern frequencies here: " GOVERNOR " is not there"},
    [MAX_HZ] = {"cpu_max_hz", "the kernel does not tell: " FREQUENCY " is not there"},
    [LIMIT] = {"cpu_limit", "no cgroup limits the process's CPU time"},
    [HUGE] = {"transparent_huge_pages", HUGE_PAGES " is not there"},
    [VIRTUAL] = {"virtual_machine", "/proc/cpuinfo does not say"},
    [LOAD] = {"load_1m", "sysinfo does not tell"},
};
static char values[FACTS][128]; /* "": not known */

/* The beginning of a file, as text. */
static bool read_text(const char *path, char *text, size_t size) {
  long fd = rf_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  long length = fd < 0 ? fd : rf_syscall(SYS_read, fd, text, size - 1);
  if (fd >= 0) rf_syscall(SYS_close, fd);
  text[length > 0 ? length : 0] = '\0';
  return length > 0;
}

/* A line, without what encloses it. */
static void keep(int fact, const char *text) {
  size_t quote = *text == '"' || *text == '\'', length = strcspn(text + quote, quote ? "\"'\n" : "\n");
  snprintf(values[fact], sizeof values[fact], "%.*s", (int)length, text + quote);
}

static void find_os(void) {
  char text[2048] = "\n";
  if (!read_text("/etc/os-release", text + 1, sizeof text - 1) &&
      !read_text("/usr/lib/os-release", text + 1, sizeof text - 1))
    return;
  const char *name = strstr(text, "\nPRETTY_NAME=");
  if (name) keep(OS, name + sizeof "\nPRETTY_NAME=" - 1);
}

static void find_frequency(void) {
  char text[64];
  if (read_text(GOVERNOR, text, sizeof text)) keep(GOVERNED, text);
  if (read_text(FREQUENCY, text, sizeof text))
    snprintf(values[MAX_HZ], sizeof values[MAX_HZ], "%llu", 1000 * strtoull(text, NULL, 10));
}

/* "always [madvise] never" */
static void find_huge_pages(void) {
  char text[128];
  const char *chosen = read_text(HUGE_PAGES, text, sizeof text) ? strchr(text, '[') : NULL;
  if (chosen) snprintf(values[HUGE], sizeof values[HUGE], "%.*s", (int)strcspn(chosen + 1, "]"), chosen + 1);
}

static void find_virtual(void) {
  char text[8192];
  if (read_text("/proc/cpuinfo", text, sizeof text) && strstr(text, "\nflags"))
    keep(VIRTUAL, strstr(text, " hypervisor") ? "yes" : "no");
}

static void find_load(void) {
  struct sysinfo info = {0};
  if (rf_syscall(SYS_sysinfo, &info) != 0) return;
  uint64_t hundredths = (uint64_t)info.loads[0] * 100 >> SI_LOAD_SHIFT;
  snprintf(values[LOAD], sizeof values[LOAD], "%llu.%02llu", (unsigned long long)(hundredths / 100),
           (unsigned long long)(hundredths % 100));
}

/* ---- the control group ---- */

/* Thousandths of a CPU; 0: no limit. "max 100000", "50000 100000"; or cpu.cfs_quota_us and its period. */
static uint64_t group_limit(const char *mount, const char *path, bool unified, bool *seen) {
  char name[1024], text[64], *end;
  long long quota, period;
  snprintf(name, sizeof name, "%s%s/%s", mount, path, unified ? "cpu.max" : "cpu.cfs_quota_us");
  if (!read_text(name, text, sizeof text)) return 0;
  *seen = true;
  quota = strtoll(text, &end, 10);
  if (!unified) {
    snprintf(name, sizeof name, "%s%s/cpu.cfs_period_us", mount, path);
    if (!read_text(name, text, sizeof text)) return 0;
    end = text;
  }
  period = strtoll(end, NULL, 10);
  return quota > 0 && period > 0 ? (uint64_t)quota * 1000 / (uint64_t)period : 0;
}

static uint64_t lowest_limit(const char *mount, char *path, bool unified) {
  uint64_t lowest = 0;
  bool seen = false;
  for (char *from = path; !seen && from;
       from = *from ? strchr(from + 1, '/') : NULL) { /* in a container: see sample/source_cgroup.c */
    char group[512];
    snprintf(group, sizeof group, "%s", from);
    for (char *end = group;; *end = '\0') {
      uint64_t limit = group_limit(mount, group, unified, &seen);
      if (limit && (!lowest || limit < lowest)) lowest = limit;
      end = strrchr(group, '/');
      if (!seen || !end) break;
    }
  }
  return lowest;
}

/* "N:controllers:/path"; the unified hierarchy has no controllers. */
static uint64_t limit_of_line(char *line) {
  char mount[128], *controllers = strchr(line, ':'),
                   *path = controllers ? strchr(controllers + 1, ':') : NULL;
  if (!path) return 0;
  *controllers++ = *path++ = '\0';
  if (!path[1]) path[0] = '\0';
  if (!*controllers) {
    uint64_t limit = lowest_limit(GROUPS, path, true);
    return limit ? limit : lowest_limit(GROUPS "/unified", path, true);
  }
  bool cpu = !strcmp(controllers, "cpu") || !strncmp(controllers, "cpu,", 4) || strstr(controllers, ",cpu,");
  snprintf(mount, sizeof mount, "%s/%.90s", GROUPS, controllers);
  return cpu ? lowest_limit(mount, path, false) : 0;
}

static void find_limit(void) {
  char text[4096], *next = text;
  uint64_t lowest = 0;
  if (!read_text("/proc/self/cgroup", text, sizeof text)) return;
  for (char *line = text; line && *line; line = next) {
    next = strchr(line, '\n');
    if (next) *next++ = '\0';
    uint64_t limit = limit_of_line(line);
    if (limit && (!lowest || limit < lowest)) lowest = limit;
  }
  if (lowest)
    snprintf(values[LIMIT], sizeof values[LIMIT], "%llu.%03llu", (unsigned long long)(lowest / 1000),
             (unsigned long long)(lowest % 1000));
}

/* ---- out ---- */

void rf_machine_find(void) {
  find_os();
  find_frequency();
  find_huge_pages();
  find_virtual();
  find_load();
  find_limit();
}

void rf_machine_record(void) {
  char path[64];
  rf_record_fact("libc_version", gnu_get_libc_version());
  for (int i = 0; i < FACTS; i++) {
    snprintf(path, sizeof path, "environment.%s", facts[i].key);
    if (values[i][0])
      rf_record_fact(facts[i].key, values[i]);
    else
      rf_record_unavailable(path, facts[i].why);
  }
}
