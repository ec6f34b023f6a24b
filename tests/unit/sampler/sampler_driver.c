/*
 * A small app that runs the sampler on itself: sampler_driver CASE. Each case compares what the recording
 * holds with what the kernel says (getrusage, /proc/self/io, ...). Exit status 0: they agree; 77: this
 * machine can't tell. A process of its own a case, because the sampler is about the whole process.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/single_threaded.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "recording/reader.h"
#include "recording/writer.h"
#include "sample/sampler.h"

static int failures;
#define CHECK(condition, ...)                                                                                \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      printf("%s:%d: %s: ", __FILE__, __LINE__, #condition);                                                 \
      printf(__VA_ARGS__);                                                                                   \
      printf("\n");                                                                                          \
      failures++;                                                                                            \
    }                                                                                                        \
  } while (0)

static struct rf_sampler_plan plan = {.interval_ns = 100000000,
                                      .cpu = true,
                                      .memory = true,
                                      .disk = true,
                                      .network = true,
                                      .gpu = RF_AUTO,
                                      .system = true};

static void nap(double seconds) {
  struct timespec wait = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  while (nanosleep(&wait, &wait) < 0 && errno == EINTR) {
  }
}

static double seconds_now(void) { return (double)rf_monotonic_ns() / 1e9; }

static void begin(void) {
  struct rf_recording_plan recording = {.is_root = true, .live_dir = "/nowhere"};
  if (rf_recording_create(&recording) < 0) abort();
  CHECK(rf_sampler_start(&plan) == 0, "the sampler does not start");
}

static const struct rf_system_entry *system_entry(void) {
  const struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_SYSTEM));
  return chunk ? (const void *)(chunk + 1) : NULL;
}

static double mean(enum rf_metric metric) {
  const struct rf_system_entry *s = system_entry();
  return s->metric[metric].weight > 0 ? s->metric[metric].sum / s->metric[metric].weight : NAN;
}

#define KNOWN(field)                                                                                         \
  (!(system_entry()->missing >>                                                                              \
         ((offsetof(struct rf_system_entry, field) - offsetof(struct rf_system_entry, user_ns)) / 8) &       \
     1))

/* The reason that was recorded for a place in the report; NULL: none. */
static const char *reason(const char *place) {
  const struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_UNAVAILABLE));
  for (; chunk; chunk = rf_recording_at(chunk->next)) {
    const struct rf_fact_entry *entry = (const void *)(chunk + 1);
    for (uint32_t i = 0; i < chunk->count; i++) {
      const struct rf_string *key = rf_recording_at(entry[i].key), *value = rf_recording_at(entry[i].value);
      if (strcmp(key->bytes, place) == 0) return value->bytes;
    }
  }
  return NULL;
}

/* The current timeline: *count points, in order; gapless: each begins where the one before ended. */
static struct rf_sample_entry *timeline(uint32_t *count, bool gapless) {
  static struct rf_sample_entry points[RF_TIMELINE_POINTS + 1];
  *count = 0;
  const struct rf_chunk *chunk = rf_recording_at(system_entry()->current_timeline);
  for (; chunk; chunk = rf_recording_at(chunk->next)) {
    const struct rf_sample_entry *entry = (const void *)(chunk + 1);
    for (uint32_t i = 0; i < chunk->count && *count <= RF_TIMELINE_POINTS; i++) points[(*count)++] = entry[i];
  }
  for (uint32_t i = 1; i < *count; i++) {
    double gap =
        points[i].time_s - points[i].length_s / 2 - points[i - 1].time_s - points[i - 1].length_s / 2;
    CHECK(gap > -1e-6 && (gap < 1e-6 || !gapless), "point %u begins %g s behind the one before", i, gap);
  }
  return points;
}

static int64_t task_count(void) {
  int64_t count = 0;
  DIR *folder = opendir("/proc/self/task");
  while (readdir(folder)) count++;
  closedir(folder);
  return count - 2;
}

static double recorded_cpu_seconds(void) {
  return (double)(system_entry()->user_ns + system_entry()->sys_ns) / 1e9;
}

/* ---- cases ---- */

static volatile unsigned long work;

static void *burn(void *seconds) {
  double end = seconds_now() + *(double *)seconds;
  while (seconds_now() < end)
    for (unsigned long i = 0; i < 100000; i++) work = i;
  return NULL;
}

static double cpu_seconds(const struct rusage *use) {
  return (double)(use->ru_utime.tv_sec + use->ru_stime.tv_sec) +
         (double)(use->ru_utime.tv_usec + use->ru_stime.tv_usec) / 1e6;
}

static double own_cpu_seconds(void) {
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  return cpu_seconds(&use);
}

/* Two threads that burn: the mean ratio is what getrusage says of the same time, whatever the machine gave
 * them. */
static void case_cpu(void) {
  struct rusage before, after;
  double length = 1.5;
  pthread_t thread;
  begin();
  double start = seconds_now();
  getrusage(RUSAGE_SELF, &before);
  pthread_create(&thread, NULL, burn, &length);
  burn(&length);
  pthread_join(thread, NULL);
  getrusage(RUSAGE_SELF, &after);
  double expected = (cpu_seconds(&after) - cpu_seconds(&before)) / (seconds_now() - start);
  rf_sampler_stop();
  CHECK(fabs(mean(RF_METRIC_CPU_PROCESS) - expected) < 0.05 * expected, "%g instead of %g",
        mean(RF_METRIC_CPU_PROCESS), expected);
  CHECK(fabs(recorded_cpu_seconds() - cpu_seconds(&after)) < 0.03, "%g instead of %g s",
        recorded_cpu_seconds(), cpu_seconds(&after));
  CHECK(mean(RF_METRIC_CPU_SYSTEM) > 0.1 && mean(RF_METRIC_CPU_SYSTEM) <= 1, "%g",
        mean(RF_METRIC_CPU_SYSTEM));
  CHECK(system_entry()->metric[RF_METRIC_THREADS].max == 2, "%g threads",
        system_entry()->metric[RF_METRIC_THREADS].max);
  CHECK(rf_recording_header()->threads_max == 2, "%u", rf_recording_header()->threads_max);
  uint64_t counted = 0;
  for (int i = 0; i < 256; i++) counted += system_entry()->cpu_histogram[i];
  CHECK(counted >= 14 && counted <= system_entry()->samples, "%lu of %lu samples", counted,
        system_entry()->samples);
}

/* The sampler's own cost over 3 idle seconds, at 100 ms: under half a percent of a core, and not in the app's
 * figures.
 */
static void case_cost(void) {
  begin();
  nap(3.05);
  struct rusage use;
  getrusage(RUSAGE_SELF, &use);
  rf_sampler_stop();
  double a_tick = (double)rf_recording_header()->self_cpu_ns / 1e3 / (double)system_entry()->samples;
  printf("%.1f us a tick, %lu ticks\n", a_tick, system_entry()->samples);
  CHECK(system_entry()->samples >= 29 && system_entry()->samples <= 32, "%lu samples",
        system_entry()->samples);
  CHECK(a_tick > 5 && a_tick < 500, "%g us a tick", a_tick);
  CHECK(mean(RF_METRIC_CPU_PROCESS) < 0.001, "%g of a core", mean(RF_METRIC_CPU_PROCESS));
  CHECK(system_entry()->voluntary_switches < 10, "%lu switches of its own counted",
        system_entry()->voluntary_switches);
  CHECK(use.ru_nvcsw > 25, "the process's own figure should hold the sampler's switches: %ld", use.ru_nvcsw);
}

static void case_memory(void) {
  size_t bytes = 64 << 20;
  begin();
  nap(0.25);
  double before = system_entry()->metric[RF_METRIC_RSS].max;
  struct rusage start, end;
  getrusage(RUSAGE_SELF, &start);
  char *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  madvise(block, bytes, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < bytes; i += 4096) block[i] = 1;
  getrusage(RUSAGE_SELF, &end);
  nap(0.25);
  munmap(block, bytes);
  nap(0.25);
  rf_sampler_stop();
  double grown = system_entry()->metric[RF_METRIC_RSS].max - before;
  CHECK(fabs(grown - (double)bytes) < 1 << 20, "grew by %g", grown);
  CHECK(system_entry()->peak_rss_bytes >= bytes && system_entry()->peak_rss_bytes < bytes + (32 << 20), "%lu",
        system_entry()->peak_rss_bytes);
  CHECK(mean(RF_METRIC_RSS) < system_entry()->metric[RF_METRIC_RSS].max - (double)bytes / 8,
        "the mean must be lower");
  CHECK(system_entry()->minor_faults >= bytes / 4096, "%lu faults", system_entry()->minor_faults);
  CHECK(system_entry()->minor_faults < (uint64_t)end.ru_minflt + 200, "%lu faults",
        system_entry()->minor_faults);
  CHECK(KNOWN(pss_bytes) && system_entry()->pss_bytes > 100000 && system_entry()->pss_bytes < bytes,
        "pss %lu", system_entry()->pss_bytes);
}

static uint64_t io_figure(const char *key) {
  char text[512] = "";
  int fd = open("/proc/self/io", O_RDONLY);
  if (fd < 0 || read(fd, text, sizeof text - 1) <= 0) exit(77);
  close(fd);
  const char *at = strstr(text, key);
  return strtoull(at + strlen(key), NULL, 10);
}

static void case_disk(void) {
  static char block[1 << 20];
  char path[] = "sampler-disk-XXXXXX";
  int fd = mkstemp(path);
  unlink(path);
  uint64_t reads = io_figure("\nsyscr: ");
  begin();
  nap(0.15);
  uint64_t before = io_figure("\nwrite_bytes: ");
  for (int i = 0; i < 16; i++) CHECK(write(fd, block, sizeof block) == sizeof block, "write failed");
  fsync(fd);
  uint64_t after = io_figure("\nwrite_bytes: ");
  nap(0.25);
  rf_sampler_stop();
  const struct rf_system_entry *s = system_entry();
  CHECK(s->write_chars >= 16 << 20 && s->write_chars < (16 << 20) + 4096, "%lu chars", s->write_chars);
  CHECK(s->write_calls >= 16 && s->write_calls < 20, "%lu calls", s->write_calls);
  CHECK(s->write_bytes >= after && s->write_bytes < after + 65536, "%lu instead of %lu bytes", s->write_bytes,
        after);
  /* What the sampler itself reads, dozens of files of /proc, is not the app's, which read two. */
  CHECK(s->read_calls >= reads && s->read_calls <= reads + 8, "%lu instead of %lu calls", s->read_calls,
        reads);
  CHECK(io_figure("\nsyscr: ") > reads + 20, "the kernel counts the sampler's");
  if (after - before < 16 << 20) exit(77);      /* tmpfs, or a file system that does not account */
  double rate = s->metric[RF_METRIC_WRITE].sum; /* rate times seconds: the bytes */
  CHECK(fabs(rate - (double)(after - before)) < 0.1 * (double)(after - before), "%g bytes on the timeline",
        rate);
}

static void case_network(void) {
  static char block[1 << 16];
  int listener = socket(AF_INET, SOCK_STREAM, 0), to = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (bind(listener, (void *)&address, sizeof address) < 0 || listen(listener, 1) < 0) exit(77);
  getsockname(listener, (void *)&address, &length);
  if (connect(to, (void *)&address, sizeof address) < 0) exit(77);
  int from = accept(listener, NULL, NULL);
  size_t bytes = 0;
  begin();
  nap(0.15);
  for (int i = 0; i < 64; i++) {
    CHECK(write(to, block, sizeof block) == sizeof block, "write failed");
    for (size_t got = 0; got < sizeof block;) {
      ssize_t more = read(from, block, sizeof block - got);
      if (more <= 0) exit(1);
      got += (size_t)more;
    }
    bytes += sizeof block;
  }
  nap(0.15);
  rf_sampler_stop();
  const struct rf_system_entry *s = system_entry();
  CHECK(KNOWN(net_sent_bytes) && KNOWN(net_received_bytes), "unknown");
  CHECK(s->net_sent_bytes >= bytes && s->net_received_bytes >= bytes, "%lu and %lu of %zu", s->net_sent_bytes,
        s->net_received_bytes, bytes);
  CHECK(s->metric[RF_METRIC_NET_SENT].sum >= (double)bytes, "%g on the timeline",
        s->metric[RF_METRIC_NET_SENT].sum);
}

/* More ticks than points: joined, never more than the limit, the same means, no gap. */
static void case_join(void) {
  plan.interval_ns = 1000000;
  begin();
  double start = seconds_now();
  while (system_entry()->samples < 2 * RF_TIMELINE_POINTS + 50 && seconds_now() - start < 30) {
    double length = 0.01;
    burn(&length);
    nap(0.01);
  }
  double elapsed = seconds_now() - start;
  rf_sampler_stop();
  uint32_t count;
  const struct rf_sample_entry *points = timeline(&count, true);
  CHECK(count >= RF_TIMELINE_POINTS / 2 && count <= RF_TIMELINE_POINTS, "%u points", count);
  CHECK(system_entry()->samples > 2 * RF_TIMELINE_POINTS, "%lu samples", system_entry()->samples);
  double length = 0, sum = 0, weight = 0;
  for (uint32_t i = 0; i < count; i++) {
    length += points[i].length_s;
    const float *cpu = points[i].value[RF_METRIC_CPU_PROCESS];
    if (isnan(cpu[1])) continue; /* a source that costs too much at 1 ms is read less often */
    CHECK(cpu[0] <= cpu[1] && cpu[1] <= cpu[2], "point %u: %g %g %g", i, cpu[0], cpu[1], cpu[2]);
    sum += cpu[1] * points[i].length_s, weight += points[i].length_s;
  }
  CHECK(fabs(length - elapsed) < 0.1, "%g of %g s", length, elapsed);
  CHECK(fabs(sum / weight - mean(RF_METRIC_CPU_PROCESS)) < 0.05, "%g instead of %g", sum / weight,
        mean(RF_METRIC_CPU_PROCESS));
}

/* libc's fast paths for single-threaded processes stay, and nothing appears in the process that wasn't there.
 */
static void case_single(void) {
  CHECK(__libc_single_threaded, "not single-threaded to begin with");
  begin();
  nap(0.25);
  CHECK(task_count() == 2, "%ld tasks", task_count());
  CHECK(__libc_single_threaded, "libc takes the process for multi-threaded");
  rf_sampler_stop();
  CHECK(__libc_single_threaded, "libc takes the process for multi-threaded");
  CHECK(task_count() == 1, "%ld tasks", task_count());
  CHECK(system_entry()->metric[RF_METRIC_THREADS].max == 1, "%g",
        system_entry()->metric[RF_METRIC_THREADS].max);
}

static void list_descriptors(char *text, size_t size) {
  text[0] = 0;
  for (int fd = 0; fd < 256; fd++) {
    char path[64], target[128];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) continue;
    target[length] = 0;
    snprintf(text + strlen(text), size - strlen(text), "%d=%s ", fd, target);
  }
}

/* At 1 ms, the app sees no descriptor that it didn't open, and always gets the number that it would get
 * alone. */
static void case_descriptors(void) {
  static char before[8192], after[8192];
  plan.interval_ns = 1000000;
  list_descriptors(before, sizeof before);
  int expected = dup(0);
  close(expected);
  begin();
  double end = seconds_now() + 1;
  while (seconds_now() < end) {
    int fd = dup(0);
    CHECK(fd == expected, "descriptor %d instead of %d", fd, expected);
    if (failures) break;
    close(fd);
  }
  list_descriptors(after, sizeof after);
  CHECK(strcmp(before, after) == 0, "\n%s\n%s", before, after);
  closefrom(3);
  uint64_t samples = system_entry()->samples;
  nap(0.3);
  CHECK(system_entry()->samples > samples + 50, "the sampler stopped when the app closed its descriptors");
  rf_sampler_stop();
  CHECK(!reason("system.disk"), "%s", reason("system.disk"));
}

static void expect_end(int fd, const char *which) {
  struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
  CHECK(poll(&poll_fd, 1, 2000) == 1 && (poll_fd.revents & POLLHUP), "the %s pipe does not end: 0x%x", which,
        (unsigned)poll_fd.revents);
}

/* Pipes opened before and after the sampler started end when the app closes their writing ends. */
static void case_eof(void) {
  int early[2], late[2];
  CHECK(pipe(early) == 0, "pipe");
  begin();
  nap(0.15);
  CHECK(pipe(late) == 0, "pipe");
  nap(0.15);
  close(early[1]);
  expect_end(early[0], "early");
  close(late[1]);
  expect_end(late[0], "late");
  rf_sampler_stop();
}

static void deny(int call, uint32_t action) {
  struct sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
                               BPF_STMT(BPF_RET | BPF_K, action),
                               BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  struct sock_fprog program = {.len = 4, .filter = code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) exit(77);
}

/* The same where the kernel has no close_range (before 5.9, or a container's filter). */
static void case_eof_without_close_range(void) {
  deny(SYS_close_range, SECCOMP_RET_ERRNO | ENOSYS);
  case_eof();
}

/* A refused thread: the reason, and totals all the same. */
static void case_refused(void) {
  struct rf_recording_plan recording = {.is_root = true, .live_dir = "/nowhere"};
  deny(SYS_clone, SECCOMP_RET_ERRNO | EAGAIN);
  if (rf_recording_create(&recording) < 0) abort();
  CHECK(rf_sampler_start(&plan) == -EAGAIN, "it started");
  double length = 0.3;
  burn(&length);
  rf_sampler_stop();
  CHECK(reason("system") && strstr(reason("system"), "RLIMIT_NPROC"), "%s", reason("system"));
  CHECK(fabs(recorded_cpu_seconds() - own_cpu_seconds()) < 0.02, "%g instead of %g s", recorded_cpu_seconds(),
        own_cpu_seconds());
  CHECK(KNOWN(read_calls) && KNOWN(peak_rss_bytes) && system_entry()->samples == 1, "no totals");
}

/* A seccomp filter that kills for anything the app itself does not do: the sampler has ended, stop does
 * nothing. */
static void seal(bool retired) {
  begin();
  nap(0.15);
  if (retired) rf_sampler_retire("the app drops privileges");
  double length = 0.2;
  burn(&length);
  rf_sampler_seal("the app installs a seccomp filter");
  CHECK(fabs(recorded_cpu_seconds() - own_cpu_seconds()) < 0.02, "%g s", recorded_cpu_seconds());
  CHECK(task_count() == 1, "%ld tasks", task_count());
  CHECK(KNOWN(user_ns), "no totals");
  deny(SYS_openat, SECCOMP_RET_KILL_PROCESS);
  rf_sampler_stop();
  const char *expected = retired ? "the app drops privileges" : "the app installs a seccomp filter";
  CHECK(strcmp(reason("system.timeline"), expected) == 0, "%s", reason("system.timeline"));
}

static void case_seal(void) { seal(false); }
static void case_retire_seal(void) { seal(true); }

static void case_retire(void) {
  begin();
  nap(0.25);
  rf_sampler_retire("the app drops privileges");
  CHECK(task_count() == 1, "%ld tasks", task_count());
  uint64_t samples = system_entry()->samples;
  double length = 0.3;
  burn(&length);
  CHECK(rf_sampler_start(&plan) == -EPERM, "it came back");
  CHECK(system_entry()->samples == samples, "it still samples");
  rf_sampler_stop();
  CHECK(fabs(recorded_cpu_seconds() - own_cpu_seconds()) < 0.02, "%g instead of %g s", recorded_cpu_seconds(),
        own_cpu_seconds());
}

/* The main thread ends by itself, the kernel's way: the process must end, too. */
static void case_alone(void) {
  pid_t child = fork();
  if (child == 0) {
    begin();
    syscall(SYS_exit, 0);
  }
  for (int i = 0; i < 40; i++) {
    nap(0.1);
    if (waitpid(child, NULL, WNOHANG) == child) return;
  }
  kill(child, SIGKILL);
  CHECK(false, "the sampler keeps the process alive");
}

/* A forked child has no sampler, can start its own, and its figures begin anew. */
static void case_fork(void) {
  begin();
  double length = 0.3;
  burn(&length);
  pid_t child = fork();
  if (child == 0) {
    failures = 0;
    rf_recording_forget();
    rf_sampler_forget();
    CHECK(task_count() == 1, "%ld tasks", task_count());
    begin();
    nap(0.25);
    rf_sampler_stop();
    CHECK(system_entry()->user_ns + system_entry()->sys_ns < 100000000,
          "the parent's time is in the child's");
    CHECK(system_entry()->samples >= 2 && system_entry()->samples <= 4, "%lu", system_entry()->samples);
    fflush(stdout);
    _exit(failures);
  }
  int status;
  waitpid(child, &status, 0);
  CHECK(status == 0, "the child failed: 0x%x", (unsigned)status);
  rf_sampler_stop();
  CHECK(fabs(recorded_cpu_seconds() - own_cpu_seconds()) < 0.02, "%g instead of %g s", recorded_cpu_seconds(),
        own_cpu_seconds());
}

/* stop, a failed exec, start: one timeline. */
static void case_again(void) {
  begin();
  nap(0.35);
  rf_sampler_stop();
  uint64_t samples = system_entry()->samples;
  CHECK(rf_sampler_start(&plan) == 0, "it does not start again");
  nap(0.35);
  rf_sampler_stop();
  uint32_t count;
  const struct rf_sample_entry *points = timeline(&count, false);
  CHECK(samples >= 3 && system_entry()->samples >= samples + 3, "%lu, then %lu", samples,
        system_entry()->samples);
  CHECK(count >= 6 && points[0].time_s < points[count - 1].time_s, "%u points", count);
}

/* A process that ends at once has its figures, and is not held up. */
static void case_short(void) {
  begin();
  nap(0.02);
  double start = seconds_now();
  rf_sampler_stop();
  CHECK(seconds_now() - start < 0.05, "stop took %g s", seconds_now() - start);
  uint32_t count;
  timeline(&count, true);
  CHECK(count == 1 && system_entry()->samples == 1, "%u points", count);
  CHECK(KNOWN(user_ns) && KNOWN(peak_rss_bytes), "no totals");
  CHECK(reason("system.gpu") && strcmp(reason("system.gpu"), "no GPU driver was loaded by the app") == 0,
        "%s", reason("system.gpu"));
}

/* An app that wants SIGFPE for floating-point exceptions, and looks at their flags: the sampler computes with
 * NaN, on its own thread and, where that has ended, on the app's. */
static void case_fpu(void) {
  struct rf_recording_plan recording = {.is_root = true, .live_dir = "/nowhere"};
  if (rf_recording_create(&recording) < 0) abort();
  feclearexcept(FE_ALL_EXCEPT);
  feenableexcept(FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_INEXACT);
  rf_sampler_start(&plan);
  usleep(350000);
  rf_sampler_retire("a test");
  usleep(50000);
  rf_sampler_stop();
  int flags = fetestexcept(FE_ALL_EXCEPT), enabled = fegetexcept();
  fedisableexcept(FE_ALL_EXCEPT);
  CHECK(flags == 0, "flags 0x%x", (unsigned)flags);
  CHECK(enabled == (FE_DIVBYZERO | FE_INVALID | FE_OVERFLOW | FE_INEXACT), "0x%x", (unsigned)enabled);
  CHECK(system_entry()->samples >= 4, "%lu samples", system_entry()->samples);
}

static volatile sig_atomic_t handled_by;
static void on_signal(int number) { handled_by = (int)syscall(SYS_gettid) + 0 * number; }

/* A signal to the process that the app has blocked stays pending: no thread of Refunc's takes it. */
static void case_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigaction(SIGUSR1, &action, NULL);
  begin();
  nap(0.15);
  sigset_t before, after;
  sigprocmask(SIG_BLOCK, NULL, &before);
  CHECK(!sigismember(&before, SIGUSR1) && !sigismember(&before, SIGTERM), "the app's mask was changed");
  sigprocmask(SIG_BLOCK, &set, &after);
  kill(getpid(), SIGUSR1);
  nap(0.15);
  CHECK(handled_by == 0, "handled by %d", handled_by);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  CHECK(handled_by == getpid(), "handled by %d", handled_by);
  rf_sampler_stop();
}

/* A process that was stopped for a second: no burst of ticks to catch up, no gap, no wild rates. */
static void case_stopped(void) {
  pid_t child = fork();
  if (child == 0) {
    begin();
    nap(0.25);
    raise(SIGSTOP);
    nap(0.25);
    rf_sampler_stop();
    uint32_t count;
    timeline(&count, true);
    CHECK(system_entry()->samples >= 4 && system_entry()->samples <= 8, "%lu samples",
          system_entry()->samples);
    CHECK(mean(RF_METRIC_CPU_PROCESS) < 0.2, "%g", mean(RF_METRIC_CPU_PROCESS));
    fflush(stdout);
    _exit(failures ? 1 : 0);
  }
  int status;
  CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status), "0x%x", (unsigned)status);
  nap(1);
  kill(child, SIGCONT);
  waitpid(child, &status, 0);
  CHECK(status == 0, "the child failed: 0x%x", (unsigned)status);
}

/* Not one file may be opened: reasons, and what system calls tell. */
static void case_nofile(void) {
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_NOFILE, &none);
  begin();
  nap(0.25);
  rf_sampler_stop();
  CHECK(reason("system.disk") && strstr(reason("system.disk"), "RLIMIT_NOFILE"), "%s", reason("system.disk"));
  CHECK(!isnan(mean(RF_METRIC_CPU_PROCESS)) && KNOWN(user_ns), "system calls still answer");
}

/* Killed in the middle: the recording has everything up to the last second, the timeline up to the last tick.
 */
static void case_killed(void) {
  char folder[] = "/tmp/refunc-killed-XXXXXX", path[64], error[256];
  CHECK(mkdtemp(folder) != NULL, "no folder");
  snprintf(path, sizeof path, "%s/killed.rfn", folder);
  pid_t child = fork();
  if (child == 0) {
    struct rf_recording_plan recording = {.is_root = true, .output_path = path};
    if (rf_recording_create(&recording) < 0 || rf_sampler_start(&plan) < 0) _exit(1);
    double length = 1.5;
    burn(&length);
    kill(getpid(), SIGKILL);
  }
  struct rusage use;
  wait4(child, NULL, 0, &use);
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  CHECK(reader, "%s", error);
  if (!reader) return;
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_SYSTEM], RF_TABLE_SYSTEM);
  struct rf_system_entry system;
  CHECK(rf_cursor_next(&cursor, &system, sizeof system), "no system entry");
  CHECK(system.samples >= 12 && system.samples <= 16, "%lu samples", system.samples);
  double recorded = (double)(system.user_ns + system.sys_ns) / 1e9, expected = cpu_seconds(&use);
  CHECK(recorded > expected - 0.2 && recorded <= expected, "%g of %g s", recorded, expected);
  cursor = rf_cursor_at(reader, system.current_timeline, RF_TABLE_SAMPLE);
  struct rf_sample_entry point;
  uint64_t points = 0;
  while (rf_cursor_next(&cursor, &point, sizeof point)) points++;
  /* A tick soon after one that came late is joined to its point. */
  CHECK(points <= system.samples && points >= system.samples / 2, "%lu points of %lu samples", points,
        system.samples);
  rf_reader_close(reader);
  rf_recording_complete(path);
  unlink(path);
  rmdir(folder);
}

static void case_off(void) {
  plan.system = false;
  begin();
  nap(0.2);
  rf_sampler_stop();
  CHECK(strcmp(reason("system"), "system.enabled is off") == 0, "%s", reason("system"));
  CHECK(system_entry()->samples == 0 && system_entry()->missing == UINT64_MAX, "%lu",
        system_entry()->samples);
}

static void resident(char *block, size_t bytes, bool in) {
  if (!in) madvise(block, bytes, MADV_DONTNEED);
  for (size_t i = 0; in && i < bytes; i += 4096) block[i] = 1;
  nap(0.15);
}

/* Two crossings: two alerts, two lines where the log goes, by a thread that shares no descriptor with the
 * app. */
static void case_alert(void) {
  size_t bytes = 64 << 20;
  char text[1024] = "",
       *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int lines[2];
  if (pipe(lines) < 0) exit(1);
  plan.interval_ns = 20000000;
  plan.rss_alert_bytes = 48 << 20;
  rf_log_setup(lines[1], RF_LOG_WARN, 0);
  begin();
  resident(block, bytes, true);
  resident(block, bytes, false);
  CHECK(rf_sampler_await_alert(0, 0) == 1, "%u", rf_sampler_alerts());
  resident(block, bytes, true);
  rf_sampler_stop();
  CHECK(rf_sampler_alerts() == 2 && system_entry()->rss_alerts == 2, "%lu alerts",
        system_entry()->rss_alerts);
  close(lines[1]);
  size_t length = 0;
  for (ssize_t got; (got = read(lines[0], text + length, sizeof text - 1 - length)) > 0;)
    length += (size_t)got;
  const char *first = strstr(text, "above system.rss_alert = 48 MiB\n");
  CHECK(first && strstr(first + 1, "above system.rss_alert = 48 MiB\n"), "logged: %s", text);
}

/* Sources that can't be read are null with a reason; the others go on. */
static void case_hidden(void) {
  plan.proc_root = "/nowhere";
  plan.sys_root = "/nowhere";
  begin();
  nap(0.25);
  rf_sampler_stop();
  CHECK(strcmp(reason("system.disk"), "/proc/self/io: not there") == 0, "%s", reason("system.disk"));
  CHECK(strstr(reason("system.memory"), "statm: not there"), "%s", reason("system.memory"));
  CHECK(reason("system.network.namespace") && reason("system.cpu.system_ratio"), "no reason");
  CHECK(isnan(mean(RF_METRIC_RSS)) && isnan(mean(RF_METRIC_READ)), "figures from nowhere");
  CHECK(!isnan(mean(RF_METRIC_CPU_PROCESS)) && KNOWN(user_ns) && !KNOWN(read_bytes),
        "system calls still answer");
}

/* ---- GPUs: a fake libnvidia-ml, found through LD_LIBRARY_PATH ---- */

static struct rf_gpu_entry *gpu_entry(uint32_t index) {
  struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_GPU));
  return chunk && index < chunk->count ? (struct rf_gpu_entry *)(void *)(chunk + 1) + index : NULL;
}

static const char *string(rf_ref ref) { return ((const struct rf_string *)rf_recording_at(ref))->bytes; }

static void run_gpu(double seconds) {
  begin();
  rf_sampler_module_loaded("/usr/lib/libm.so.6");
  CHECK(task_count() == 2, "a thread without a driver");
  rf_sampler_module_loaded("/usr/lib/libcuda.so.1");
  nap(seconds);
  rf_sampler_stop();
}

/* The fake: two devices; this process uses 30% and 256 MiB of the second one, which is 80% busy. */
static void case_gpu_process(void) {
  run_gpu(1.3);
  struct rf_gpu_entry *e = gpu_entry(0);
  CHECK(e && !gpu_entry(1), "only the device that the process uses");
  if (!e) return;
  CHECK(strcmp(string(e->name), "Fake GPU 1") == 0 && strcmp(string(e->scope), "process") == 0, "%s %s",
        string(e->name), string(e->scope));
  CHECK(fabs(e->utilization_sum / e->utilization_weight - 0.3) < 0.01, "%g",
        e->utilization_sum / e->utilization_weight);
  CHECK(e->memory_max == 256 << 20, "%g", e->memory_max);
  CHECK(fabs(e->power_w - 120) < 1 && e->temperature_c == 55, "%g W, %g C", e->power_w, e->temperature_c);
  CHECK(e->energy_j > 60 && e->energy_j < 400, "%g J", e->energy_j);
  CHECK(fabs(mean(RF_METRIC_GPU_UTILIZATION) - 0.3) < 0.01, "%g", mean(RF_METRIC_GPU_UTILIZATION));
  CHECK(fabs(mean(RF_METRIC_GPU_MEMORY) - (256 << 20)) < 1e6, "%g", mean(RF_METRIC_GPU_MEMORY));
  CHECK(!reason("system.gpu"), "%s", reason("system.gpu"));
  CHECK(system_entry()->metric[RF_METRIC_THREADS].max == 1, "Refunc's own threads are counted: %g",
        system_entry()->metric[RF_METRIC_THREADS].max);
}

static void check_whole(uint32_t index, double utilization, double memory) {
  struct rf_gpu_entry *e = gpu_entry(index);
  CHECK(e && strcmp(string(e->scope), "device") == 0, "device %u", index);
  if (!e) return;
  double mean_utilization = e->utilization_weight > 0 ? e->utilization_sum / e->utilization_weight : NAN;
  CHECK(fabs(mean_utilization - utilization) < 0.01 || (isnan(utilization) && isnan(mean_utilization)),
        "%u: %g", index, mean_utilization);
  CHECK(e->memory_max == memory, "%u: %g", index, e->memory_max);
}

/* NVML that names no process of this one: the devices as a whole. */
static void case_gpu_device(void) {
  run_gpu(0.5);
  check_whole(0, 0.1, 1 << 30);
  check_whole(1, 0.8, 2u << 30);
}

/* NVML with nothing but the devices and their utilization. */
static void case_gpu_sparse(void) {
  run_gpu(0.5);
  check_whole(0, 0.1, 0);
  CHECK(isnan(gpu_entry(0)->power_w) && isnan(gpu_entry(0)->energy_j), "figures from nowhere");
}

/* NVML whose rows and figures are absurd: nothing of it is believed. */
static void case_gpu_garbage(void) {
  run_gpu(1.3);
  for (uint32_t i = 0; gpu_entry(i); i++) {
    struct rf_gpu_entry *e = gpu_entry(i);
    CHECK(e->utilization_max <= 1 && e->memory_max <= 64e9, "%g %g", e->utilization_max, e->memory_max);
    CHECK(isnan(e->power_w) && isnan(e->temperature_c), "%g W, %g C", e->power_w, e->temperature_c);
    CHECK(isnan(e->energy_j) || e->energy_j == 0, "%g J", e->energy_j);
  }
  CHECK(gpu_entry(0) != NULL, "devices are named all the same");
}

/* Calls of 5 seconds: the app's exit is not held up. */
static void case_gpu_slow(void) {
  begin();
  rf_sampler_module_loaded("libnvidia-ml.so.1");
  nap(0.5);
  double start = seconds_now();
  rf_sampler_stop();
  CHECK(seconds_now() - start < 0.45, "stop took %g s", seconds_now() - start);
  CHECK(system_entry()->samples >= 4 && KNOWN(user_ns), "the sampler itself went on");
  CHECK(reason("system.gpu") && strstr(reason("system.gpu"), "did not answer"), "%s", reason("system.gpu"));
}

static void case_gpu_missing(void) {
  plan.gpu = RF_ON;
  begin();
  nap(0.3);
  rf_sampler_stop();
  CHECK(reason("system.gpu") && strstr(reason("system.gpu"), "libnvidia-ml.so.1 can't be loaded"), "%s",
        reason("system.gpu"));
}

static void case_gpu_off(void) {
  plan.gpu = RF_OFF;
  begin();
  rf_sampler_module_loaded("libcuda.so.1");
  CHECK(task_count() == 2, "%ld tasks", task_count());
  rf_sampler_stop();
  CHECK(strcmp(reason("system.gpu"), "system.gpu is off") == 0, "%s", reason("system.gpu"));
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {
    {"cpu", case_cpu},
    {"cost", case_cost},
    {"memory", case_memory},
    {"disk", case_disk},
    {"network", case_network},
    {"join", case_join},
    {"single", case_single},
    {"descriptors", case_descriptors},
    {"eof", case_eof},
    {"eof-without-close-range", case_eof_without_close_range},
    {"refused", case_refused},
    {"seal", case_seal},
    {"retire", case_retire},
    {"retire-seal", case_retire_seal},
    {"alone", case_alone},
    {"fork", case_fork},
    {"again", case_again},
    {"short", case_short},
    {"fpu", case_fpu},
    {"signals", case_signals},
    {"stopped", case_stopped},
    {"nofile", case_nofile},
    {"killed", case_killed},
    {"off", case_off},
    {"alert", case_alert},
    {"hidden", case_hidden},
    {"gpu-process", case_gpu_process},
    {"gpu-device", case_gpu_device},
    {"gpu-sparse", case_gpu_sparse},
    {"gpu-garbage", case_gpu_garbage},
    {"gpu-slow", case_gpu_slow},
    {"gpu-missing", case_gpu_missing},
    {"gpu-off", case_gpu_off},
};

int main(int argc, char **argv) {
  for (unsigned i = 0; argc == 2 && i < sizeof cases / sizeof *cases; i++) {
    if (strcmp(argv[1], cases[i].name) != 0) continue;
    cases[i].run();
    fflush(stdout);
    return failures ? 1 : 0;
  }
  fprintf(stderr, "usage: sampler_driver CASE\n");
  return 2;
}
