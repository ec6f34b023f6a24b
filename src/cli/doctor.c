/* refunc doctor: what this machine allows, and what to do about what it doesn't. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/preflight.h"
#include "cli/render.h"
#include "recording/place.h"

enum verdict { GOOD, NOTE, BAD };

struct doctor {
  struct rf_buffer out;
  struct rf_style style;
  int bad;
};

/* Text from column 20 on, broken at blanks. */
static void add_wrapped(struct doctor *d, const char *text) {
  size_t width = (size_t)d->style.width - 20;
  while (strlen(text) > width) {
    size_t cut = width;
    while (cut && text[cut] != ' ') cut--;
    if (!cut) break;
    char part[512];
    snprintf(part, sizeof part, "%.*s", (int)cut, text);
    rf_add_text(&d->out, part, width, &d->style);
    rf_buffer_text(&d->out, "\n                    ");
    text += cut + 1;
  }
  rf_add_text(&d->out, text, width, &d->style);
  rf_buffer_char(&d->out, '\n');
}

/* One line: what, how it stands; below it what to do, where something is to be done. */
static void say(struct doctor *d, enum verdict verdict, const char *what, const char *state,
                const char *remedy) {
  static const char *const marks[] = {"ok", "--", "!!"};
  static const enum rf_colour colours[] = {RF_GOOD, RF_DIM, RF_BAD};
  rf_add_colour(&d->out, colours[verdict], &d->style);
  rf_buffer_printf(&d->out, " %s ", marks[verdict]);
  rf_add_colour(&d->out, RF_PLAIN, &d->style);
  rf_add_padded(&d->out, what, 16, false, &d->style);
  add_wrapped(d, state);
  if (remedy && *remedy) {
    rf_buffer_repeat(&d->out, " ", 20);
    add_wrapped(d, remedy);
  }
  d->bad += verdict == BAD;
}

/* The first line of a small file; "" when it can't be read. */
static const char *first_line(const char *path, char *line, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read(fd, line, size - 1) : -1;
  if (fd >= 0) close(fd);
  line[n > 0 ? n : 0] = 0;
  line[strcspn(line, "\n")] = 0;
  return line;
}

/* --- clocks --- */

static bool cpu_has(const char *flag) {
  FILE *file = fopen("/proc/cpuinfo", "re");
  char line[8192];
  bool found = false;
  size_t length = strlen(flag);
  while (file && !found && fgets(line, sizeof line, file)) {
    if (strncmp(line, "flags", 5) != 0) continue;
    for (const char *at = line; !found && (at = strstr(at, flag)); at += length)
      found = at[-1] == ' ' && (at[length] == ' ' || at[length] == '\n');
    break;
  }
  if (file) fclose(file);
  return found;
}

static void look_at_clocks(struct doctor *d) {
  char source[64], text[128];
  first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", source, sizeof source);
  bool invariant = cpu_has("constant_tsc") && cpu_has("nonstop_tsc"), trusted = strcmp(source, "tsc") == 0;
  snprintf(text, sizeof text, "TSC %s, the kernel's clock is %s", invariant ? "invariant" : "not invariant",
           *source ? source : "not told");
  if (invariant || trusted)
    say(d, GOOD, "clock", text,
        trusted ? NULL : "the kernel itself doesn't use it: durations over CPU migrations are less sure");
  else
    say(d, NOTE, "clock", text,
        "timing falls back to clock_gettime, which costs more; timing.budget still holds");
}

static void look_at_thread_time(struct doctor *d) {
  char level[32], text[160];
  struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
                                 .size = sizeof attr,
                                 .config = PERF_COUNT_SW_DUMMY,
                                 .exclude_kernel = 1,
                                 .exclude_hv = 1};
  first_line("/proc/sys/kernel/perf_event_paranoid", level, sizeof level);
  long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  if (fd >= 0) {
    close((int)fd);
    snprintf(text, sizeof text, "fast path available (perf_event_paranoid %s)", *level ? level : "not told");
    say(d, GOOD, "thread_time", text, NULL);
    return;
  }
  snprintf(text, sizeof text, "no fast path: perf_event_open: %s (perf_event_paranoid %s)", strerror(errno),
           *level ? level : "not told");
  say(d, NOTE, "thread_time", text,
      "timing.mode thread_time then makes a system call a read; sysctl kernel.perf_event_paranoid=2 allows "
      "it");
}

/* --- memory, limits --- */

static void look_at_tmpfs(struct doctor *d) {
  struct statvfs fs;
  char text[128];
  if (statvfs("/dev/shm", &fs) < 0 || access("/dev/shm", W_OK) < 0) {
    say(d, NOTE, "/dev/shm", "not there or not writable",
        "recordings of living processes lie in their output files instead, which can stall on a slow disk");
    return;
  }
  double size = (double)fs.f_blocks * (double)fs.f_frsize,
         free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
  snprintf(text, sizeof text, "%s, %s free; a recording takes at most a quarter of that", rf_show_bytes(size),
           rf_show_bytes(free_bytes));
  say(d, free_bytes < 16e6 ? NOTE : GOOD, "/dev/shm", text,
      free_bytes < 16e6 ? "little room: recordings go on in their files when it is used up" : NULL);
}

static void look_at_cgroup(struct doctor *d) {
  char line[4096], path[4400], limit[64] = "", quota[64] = "", text[256];
  if (access("/sys/fs/cgroup/cgroup.controllers", R_OK) < 0) {
    say(d, NOTE, "cgroup", "no version 2 hierarchy at /sys/fs/cgroup",
        "throttling and the memory limit are not reported");
    return;
  }
  first_line("/proc/self/cgroup", line, sizeof line);
  const char *own = strncmp(line, "0::", 3) == 0 ? line + 3 : "";
  snprintf(path, sizeof path, "/sys/fs/cgroup%s/memory.max", own);
  first_line(path, limit, sizeof limit);
  snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", own);
  first_line(path, quota, sizeof quota);
  const char *memory = !*limit || strcmp(limit, "max") == 0 ? "no limit" : rf_show_bytes(strtod(limit, NULL));
  snprintf(text, sizeof text, "version 2; memory: %s; cpu.max: %s", memory, *quota ? quota : "none");
  say(d, GOOD, "cgroup", text, NULL);
}

static void look_at_ptrace(struct doctor *d) {
  char scope[32], text[96];
  first_line("/proc/sys/kernel/yama/ptrace_scope", scope, sizeof scope);
  int level = *scope ? atoi(scope) : 0;
  snprintf(text, sizeof text, "ptrace_scope %s", *scope ? scope : "0 (no Yama)");
  if (level <= 0 || (level < 3 && geteuid() == 0))
    say(d, GOOD, "ptrace", text, NULL);
  else
    say(d, NOTE, "ptrace", text,
        "changing what a running process traces needs root, or sysctl kernel.yama.ptrace_scope=0");
}

/* --- Refunc's own parts --- */

static void look_at_library(struct doctor *d) {
  char path[4096], why[4400];
  if (!rf_find_library(path, sizeof path, why, sizeof why)) {
    say(d, BAD, "library", why, "meson install -C BUILD puts both where they belong");
    return;
  }
  void *zydis = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
  if (!zydis) zydis = dlopen("libZydis.so", RTLD_NOW | RTLD_LOCAL);
  say(d, GOOD, "library", path, NULL);
  if (zydis)
    say(d, GOOD, "decoder", "Zydis found", NULL);
  else
    say(d, BAD, "decoder", "Zydis (libZydis.so.4.0) not found: no function can be timed",
        "install the package libzydis4.0");
}

static void look_at_state(struct doctor *d) {
  char state[4096], text[4200];
  if (rf_place_state(state, sizeof state, rf_variable("HOME"), rf_variable("XDG_STATE_HOME")) < 0) {
    say(d, BAD, "recordings", "neither XDG_STATE_HOME nor HOME is an absolute path",
        "set one of them, or refunc.output to a pattern");
    return;
  }
  snprintf(text, sizeof text, "%s", state);
  char *end = text + strlen(text);
  while (access(text, F_OK) < 0 && (end = strrchr(text, '/')) && end != text) *end = 0;
  if (access(text, W_OK) == 0)
    say(d, GOOD, "recordings", state, NULL);
  else
    say(d, BAD, "recordings", state, "not writable; set XDG_STATE_HOME, or refunc.output to a pattern");
}

/* --- GPUs --- */

static void look_at_gpus(struct doctor *d) {
  void *nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  bool render = access("/dev/dri/renderD128", F_OK) == 0;
  if (nvml)
    say(d, GOOD, "GPU", "NVIDIA's management library found", NULL);
  else if (access("/dev/nvidia0", F_OK) == 0)
    say(d, BAD, "GPU", "an NVIDIA device, but no libnvidia-ml.so.1",
        "install the driver's libraries to see its figures");
  else if (render)
    say(d, GOOD, "GPU", "a DRM render node: figures come from fdinfo and sysfs", NULL);
  else
    say(d, NOTE, "GPU", "none found", NULL);
}

static int run_doctor(int argc, char **argv) {
  struct doctor d = {.style = rf_style_of(STDOUT_FILENO, false)};
  struct utsname name;
  char text[512];
  if (argc > 1) return rf_fail(RF_UNUSABLE, "doctor: takes no arguments, but %s was given", argv[1]);
  if (uname(&name) == 0) {
    snprintf(text, sizeof text, "%s %s, %ld CPUs, refunc %s", name.sysname, name.release,
             sysconf(_SC_NPROCESSORS_ONLN), REFUNC_VERSION);
    say(&d, GOOD, "machine", text, NULL);
  }
  look_at_library(&d);
  look_at_state(&d);
  look_at_clocks(&d);
  look_at_thread_time(&d);
  look_at_tmpfs(&d);
  look_at_cgroup(&d);
  look_at_ptrace(&d);
  look_at_gpus(&d);
  rf_write_all(STDOUT_FILENO, d.out.bytes, d.out.length, -1);
  rf_buffer_free(&d.out);
  return d.bad ? RF_NO : RF_OK;
}

const struct rf_command rf_command_doctor = {
    .name = "doctor",
    .usage = "",
    .summary = "what this machine allows, and what to do about what it doesn't",
    .help = "  ok  as it should be     --  works with less     !!  something needed is missing\n\n"
            "Exit status: 0, or 1 when something needed is missing.\n",
    .run = run_doctor};
