/* The sampler's parsers and sources on captured and invented trees of /proc and /sys: TREE/proc, TREE/sys. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recording/writer.h"
#include "sample/alert.h"
#include "sample/gpu.h"
#include "sample/reading.h"

#define SECOND 1000000000ll

static struct rf_reading reading;
static struct rf_system_entry totals;
static struct rf_header header;
static char proc_root[512], sys_root[512];
static char scratch[64];

static void look_in(const char *tree) {
  snprintf(proc_root, sizeof proc_root, "%s/proc", tree);
  snprintf(sys_root, sizeof sys_root, "%s/sys", tree);
}

/* A reading of a tree of the fixtures; NULL: of an empty one that put() fills. */
static void prepare(const char *fixture) {
  struct rf_recording_plan plan = {.is_root = true, .live_dir = "/nowhere"};
  char tree[256];
  if (fixture) {
    snprintf(tree, sizeof tree, "%s/%s", FIXTURES, fixture);
  } else {
    strcpy(scratch, "/tmp/refunc-sources-XXXXXX");
    cr_assert(mkdtemp(scratch));
    strcpy(tree, scratch);
  }
  look_in(tree);
  cr_assert_eq(rf_recording_create(&plan), 0);
  totals.missing = UINT64_MAX;
  reading = (struct rf_reading){.now_ns = 100 * SECOND,
                                .span_s = 1,
                                .proc_root = proc_root,
                                .sys_root = sys_root,
                                .page_bytes = 4096,
                                .whole_life = true,
                                .header = &header,
                                .totals = &totals};
}

static void clean_up(void) {
  char command[128];
  if (!scratch[0]) return;
  snprintf(command, sizeof command, "rm -rf %s", scratch);
  cr_assert_eq(system(command), 0);
}

__attribute__((format(printf, 2, 3))) static void put(const char *path, const char *format, ...) {
  char full[512];
  va_list arguments;
  snprintf(full, sizeof full, "%s%s", scratch, path);
  for (char *slash = full + strlen(scratch) + 1; (slash = strchr(slash, '/')); slash++) {
    *slash = 0;
    mkdir(full, 0777);
    *slash = '/';
  }
  FILE *file = fopen(full, "w");
  cr_assert(file, "%s", full);
  va_start(arguments, format);
  vfprintf(file, format, arguments);
  va_end(arguments);
  fclose(file);
}

static void tick(const struct rf_source *source) {
  for (int m = 0; m < RF_METRICS; m++) reading.value[m] = NAN;
  reading.now_ns += SECOND;
  source->read(&reading);
}

static bool known(const uint64_t *field) { return !(totals.missing >> (field - &totals.user_ns) & 1); }

static const char *reason(const char *place) {
  const struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_UNAVAILABLE));
  const struct rf_fact_entry *entry = (const void *)(chunk + 1);
  for (uint32_t i = 0; chunk && i < chunk->count; i++) {
    const struct rf_string *key = rf_recording_at(entry[i].key), *value = rf_recording_at(entry[i].value);
    if (strcmp(key->bytes, place) == 0) return value->bytes;
  }
  return "";
}

/* ---- scanning ---- */

static struct rf_scan scan_of(const char *text) { return (struct rf_scan){text, text + strlen(text)}; }

Test(scan, numbers) {
  static const struct {
    const char *text;
    bool good;
    uint64_t value;
  } cases[] = {
      {"0", true, 0},
      {"  42 kB", true, 42},
      {"\t7\n", true, 7},
      {"18446744073709551615", true, UINT64_MAX},
      {"18446744073709551616", false, 0},
      {"99999999999999999999999999", false, 0},
      {"-1", false, 0},
      {"", false, 0},
      {"   ", false, 0},
      {"max", false, 0},
  };
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct rf_scan text = scan_of(cases[i].text);
    uint64_t value = 0;
    cr_expect_eq(rf_scan_number(&text, &value), cases[i].good, "\"%s\"", cases[i].text);
    if (cases[i].good) cr_expect_eq(value, cases[i].value, "\"%s\"", cases[i].text);
  }
}

/* A text that ends in the middle of a page that is the last readable one: nothing reads on. */
Test(scan, ends) {
  char *text = malloc(4); /* a sanitizer or valgrind would tell */
  uint64_t value;
  memcpy(text, "ab12", 4);
  struct rf_scan all = {text, text + 4}, word;
  cr_expect(rf_scan_prefix(&all, "ab"));
  cr_expect_not(rf_scan_prefix(&all, "123"));
  cr_expect(rf_scan_number(&all, &value) && value == 12);
  cr_expect_not(rf_scan_word(&all, &word));
  cr_expect_not(rf_scan_line(&all, &word));
  free(text);
}

Test(scan, keys_stand_at_the_start_of_a_line) {
  uint64_t value = 0;
  struct rf_scan text = scan_of("cancelled_write_bytes: 1\nwrite_bytes: 2\nPss_Dirty: 3\n");
  cr_expect(rf_scan_key(text, "write_bytes: ", &value) && value == 2);
  cr_expect_not(rf_scan_key(text, "Pss:", &value));
  cr_expect_not(rf_scan_key(text, "bytes", &value));
}

Test(scan, sizes_for_people) {
  static const struct {
    uint64_t bytes;
    const char *text;
  } cases[] = {{0, "0 B"},
               {1023, "1023 B"},
               {1024, "1 KiB"},
               {1536, "1.5 KiB"},
               {48u << 20, "48 MiB"},
               {150u << 20, "150 MiB"},
               {3ull << 29, "1.5 GiB"},
               {UINT64_MAX, "15.9 EiB"}};
  for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
    char bytes[32];
    struct rf_note note = rf_note_in(bytes, sizeof bytes);
    rf_note_add_bytes(&note, cases[i].bytes);
    cr_expect_str_eq(bytes, cases[i].text);
  }
}

Test(scan, a_note_never_runs_over) {
  char bytes[8] = "-------";
  struct rf_note note = rf_note_in(bytes, 5);
  rf_note_add(&note, "abc");
  rf_note_add_number(&note, 123456);
  cr_expect_str_eq(bytes, "abc1");
  cr_expect_eq(bytes[5], '-');
}

/* ---- counters ---- */

Test(counter, rates) {
  static const struct {
    uint64_t value;
    int seconds;
    double rate; /* NaN: none */
  } steps[] = {
      {1000, 1, NAN},                 /* nothing to compare with */
      {1500, 3, 250}, {1400, 4, NAN}, /* it ran backwards */
      {1410, 5, 10},  {1500, 5, NAN}, /* no time has passed */
  };
  struct rf_counter counter = {0};
  for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
    double rate = rf_counter_rate(&counter, steps[i].value, steps[i].seconds * SECOND);
    cr_expect(rate == steps[i].rate || (isnan(rate) && isnan(steps[i].rate)), "step %u: %g", i, rate);
  }
  cr_expect_eq(rf_counter_total(&counter, true), 1500);
  cr_expect_eq(rf_counter_total(&counter, false), 500);
}

/* ---- sources ---- */

Test(sources, captured_process, .fini = clean_up) {
  prepare("proc/plain/..");
  snprintf(proc_root, sizeof proc_root, "%s/proc/plain", FIXTURES);
  tick(&rf_source_memory);
  cr_expect_eq(reading.value[RF_METRIC_RSS], 453 * 4096);
  rf_source_peak.close(&reading);
  cr_expect_eq(totals.peak_rss_bytes, 453 * 4096, "statm has more than the high-water mark of status");
  cr_expect_eq(totals.pss_bytes, 181 * 1024);
  tick(&rf_source_disk);
  cr_expect_eq(totals.read_chars, 5318);
  cr_expect_eq(totals.write_chars, 1200);
  cr_expect_eq(totals.read_calls, 12);
  cr_expect_eq(totals.write_calls, 3);
  cr_expect_eq(totals.read_bytes, 8192);
  cr_expect_eq(totals.write_bytes, 4096);
  tick(&rf_source_tasks);
  cr_expect_eq(totals.run_delay_ns, 1000000);
  tick(&rf_source_network);
  cr_expect(known(&totals.net_sent_bytes) && totals.net_sent_bytes == 0, "since the start: nothing yet");
  cr_expect(rf_source_machine.open(&reading));
  cr_expect_str_eq(reason("system.disk"), "");
}

static void put_io(unsigned long read_bytes, unsigned long write_bytes) {
  put("/proc/self/io",
      "rchar: 10\nwchar: 20\nsyscr: 1\nsyscw: 2\nread_bytes: %lu\nwrite_bytes: %lu\ncancelled_write_bytes: "
      "0\n",
      read_bytes, write_bytes);
}

Test(sources, disk_runs_backwards, .fini = clean_up) {
  prepare(NULL);
  put_io(1000, 4000);
  tick(&rf_source_disk);
  cr_expect(isnan(reading.value[RF_METRIC_READ]), "the first moment has no rate");
  put_io(3000, 1000);
  tick(&rf_source_disk);
  cr_expect_float_eq(reading.value[RF_METRIC_READ], 2000, 1e-9);
  cr_expect(isnan(reading.value[RF_METRIC_WRITE]), "no negative rate");
  cr_expect_eq(totals.write_bytes, 4000, "totals never run backwards");
  put_io(3000, 1500);
  tick(&rf_source_disk);
  cr_expect_float_eq(reading.value[RF_METRIC_WRITE], 500, 1e-9);
}

Test(sources, disk_missing_empty_and_cut_off, .fini = clean_up) {
  prepare(NULL);
  tick(&rf_source_disk);
  cr_expect_not(known(&totals.read_bytes));
  cr_expect_str_eq(reason("system.disk"), "/proc/self/io: not there");
  reading.complained = 0;
  put("/proc/self/io", "%s", "");
  tick(&rf_source_disk);
  put("/proc/self/io", "rchar: 5\nwcha");
  tick(&rf_source_disk);
  put("/proc/self/io", "rchar: -5\nwchar: x\nsyscr:\nsyscw: 2\nread_bytes: 1\nwrite_bytes: 1\n");
  tick(&rf_source_disk);
  cr_expect_not(known(&totals.read_bytes));
  cr_expect(isnan(reading.value[RF_METRIC_READ]));
}

Test(sources, disk_permission, .fini = clean_up) {
  uid_t user = geteuid();
  char path[512];
  prepare(NULL);
  put_io(1, 1);
  snprintf(path, sizeof path, "%s/proc/self/io", scratch);
  chmod(path, 0);
  if (user == 0) cr_assert_eq(seteuid(65534), 0); /* root reads everything */
  tick(&rf_source_disk);
  if (user == 0) cr_assert_eq(seteuid(0), 0);
  cr_expect_str_eq(reason("system.disk"), "/proc/self/io: permission denied");
}

Test(sources, memory_absurd, .fini = clean_up) {
  static const char *const texts[] = {"18446744073709551615 18446744073709551615 1 1 0 1 0\n",
                                      "10 18446744073709551616 1 1 0 1 0\n",
                                      "100 200 1 1 0 1 0\n",
                                      "no numbers\n",
                                      "7",
                                      "-1 -1\n"};
  prepare(NULL);
  for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) {
    put("/proc/self/statm", "%s", texts[i]);
    tick(&rf_source_memory);
    cr_expect(isnan(reading.value[RF_METRIC_RSS]), "believed: %s", texts[i]);
  }
  cr_expect_not(known(&totals.peak_rss_bytes));
  put("/proc/self/status", "VmHWM:\t99999999999999999 kB\n");
  put("/proc/self/smaps_rollup", "Pss: 99999999999999999 kB\n");
  rf_source_peak.close(&reading);
  cr_expect_not(known(&totals.peak_rss_bytes));
  cr_expect_not(known(&totals.pss_bytes));
  cr_expect_str_eq(reason("system.memory.pss_bytes"), "/proc/self/smaps_rollup: the value is absurd");
}

Test(sources, pss_of_a_large_process_is_not_read, .fini = clean_up) {
  prepare(NULL);
  put("/proc/self/statm", "9000000 3000000 1 1 0 1 0\n");
  put("/proc/self/smaps_rollup", "Pss: 5 kB\n");
  tick(&rf_source_memory);
  rf_source_peak.close(&reading);
  cr_expect_not(known(&totals.pss_bytes));
  cr_expect_str_eq(reason("system.memory.pss_bytes"), "/proc/self/smaps_rollup: too large to read at exit");
}

static void put_stat(unsigned long user, unsigned long idle, unsigned long iowait, unsigned long steal) {
  put("/proc/stat", "cpu  %lu 0 0 %lu %lu 0 0 %lu 0 0\ncpu0 1 2 3 4\n", user, idle, iowait, steal);
}

Test(sources, machine, .fini = clean_up) {
  prepare(NULL);
  put_stat(1000, 5000, 100, 0);
  cr_expect(rf_source_machine.open(&reading));
  put_stat(1030, 5050, 110, 10);
  tick(&rf_source_machine);
  cr_expect_float_eq(reading.value[RF_METRIC_CPU_SYSTEM], 0.3, 1e-9,
                     "stolen time and waiting for a disk are not use");
  put_stat(1040, 5050, 90, 10); /* iowait runs backwards: the kernel says that it may */
  tick(&rf_source_machine);
  cr_expect(isnan(reading.value[RF_METRIC_CPU_SYSTEM]));
  put_stat(1050, 5060, 90, 10);
  tick(&rf_source_machine);
  cr_expect_float_eq(reading.value[RF_METRIC_CPU_SYSTEM], 0.5, 1e-9);
  put("/proc/stat", "intr 5\n");
  cr_expect_not(rf_source_machine.open(&reading));
  cr_expect_str_eq(reason("system.cpu.system_ratio"), "/proc/stat: not understood");
}

static void put_network(unsigned long lo, unsigned long eth_in, unsigned long eth_out) {
  put("/proc/self/net/dev",
      "Inter-|   Receive                                                |  Transmit\n"
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
      "colls carrier "
      "compressed\n"
      "    lo: %lu 3 0 0 0 0 0 0 %lu 3 0 0 0 0 0 0\n"
      "  eth0:%lu 3 0 0 0 0 0 0 %lu 3 0 0 0 0 0 0\n"
      " broken: 12 zebra\n",
      lo, lo, eth_in, eth_out);
}

Test(sources, network, .fini = clean_up) {
  prepare(NULL);
  put_network(500, 1000, 2000);
  cr_expect(rf_source_network.open(&reading));
  put_network(600, 4000, 2500);
  tick(&rf_source_network);
  cr_expect_float_eq(reading.value[RF_METRIC_NET_RECEIVED], 3100, 1e-9);
  cr_expect_float_eq(reading.value[RF_METRIC_NET_SENT], 600, 1e-9);
  put_network(700, 0, 0); /* the interface was made anew */
  tick(&rf_source_network);
  cr_expect(isnan(reading.value[RF_METRIC_NET_RECEIVED]) && isnan(reading.value[RF_METRIC_NET_SENT]));
  put_network(700, 50, 70);
  tick(&rf_source_network);
  cr_expect_eq(totals.net_received_bytes, 3150);
  cr_expect_eq(totals.net_sent_bytes, 670);
  put("/proc/self/net/dev", "%s", "");
  tick(&rf_source_network);
  cr_expect_str_eq(reason("system.network.namespace"), "/proc/self/net/dev: empty");
}

/* More interfaces than the buffer holds: what is cut off is left out, nothing is made up. */
Test(sources, network_of_a_thousand_interfaces, .fini = clean_up) {
  static char text[1000 * 64 + 256];
  size_t length = (size_t)sprintf(text, "Inter-\n face\n");
  prepare(NULL);
  for (int i = 0; i < 1000; i++)
    length += (size_t)sprintf(text + length, "veth%04d: 1000000 0 0 0 0 0 0 0 2000000 0 0 0 0 0 0 0\n", i);
  put("/proc/self/net/dev", "%s", text);
  tick(&rf_source_network);
  tick(&rf_source_network);
  cr_expect_eq(totals.net_received_bytes, 0);
  cr_expect_float_eq(reading.value[RF_METRIC_NET_SENT], 0, 1e-9);
}

static void put_task(int tid, unsigned long delay_ns) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", tid);
  put(path, "5 %lu 3\n", delay_ns);
}

static void remove_task(int tid) {
  char path[256];
  snprintf(path, sizeof path, "%s/proc/self/task/%d/schedstat", scratch, tid);
  unlink(path);
  *strrchr(path, '/') = 0;
  rmdir(path);
}

Test(sources, run_delay_of_threads_that_come_and_go, .fini = clean_up) {
  prepare(NULL);
  put_task(10, 1000);
  put_task(11, 500);
  rf_source_tasks.open(&reading);
  cr_expect_eq(totals.run_delay_ns, 1500);
  put_task(10, 1200);
  remove_task(11);
  put_task(12, 40);
  tick(&rf_source_tasks);
  cr_expect_eq(totals.run_delay_ns, 1740, "%lu", totals.run_delay_ns);
  put_task(10, 1100); /* backwards */
  tick(&rf_source_tasks);
  cr_expect_eq(totals.run_delay_ns, 1740, "%lu", totals.run_delay_ns);
}

Test(sources, run_delay_of_too_many_threads, .fini = clean_up) {
  prepare(NULL);
  for (int i = 0; i < 300; i++) put_task(1000 + i, 1);
  rf_source_tasks.open(&reading);
  cr_expect_not(known(&totals.run_delay_ns));
  cr_expect(strstr(reason("system.cpu.run_delay_s"), "more than 256 threads"));
}

/* ---- control groups ---- */

static void put_throttled(unsigned long us) { put("/sys/fs/cgroup/cpu.stat", "throttled_usec %lu\n", us); }

Test(cgroup, unified) {
  prepare("cgroup-v2");
  cr_expect(rf_source_throttling.open(&reading));
  cr_expect(known(&totals.throttled_ns) && totals.throttled_ns == 0, "since the start");
  rf_source_limit.open(&reading);
  cr_expect_eq(totals.cgroup_limit_bytes, 536870912, "the limit of the group around it holds");
}

Test(cgroup, one_hierarchy_a_controller) {
  prepare("cgroup-v1");
  cr_expect(rf_source_throttling.open(&reading));
  rf_source_limit.open(&reading);
  cr_expect_eq(totals.cgroup_limit_bytes, 268435456);
}

Test(cgroup, seen_from_inside_a_container) {
  prepare("cgroup-inside");
  cr_expect(rf_source_throttling.open(&reading));
  rf_source_limit.open(&reading);
  cr_expect_eq(totals.cgroup_limit_bytes, 1073741824);
}

Test(cgroup, throttling_grows, .fini = clean_up) {
  prepare(NULL);
  put("/proc/self/cgroup", "0::/\n");
  put_throttled(300);
  cr_expect(rf_source_throttling.open(&reading));
  put_throttled(800);
  tick(&rf_source_throttling);
  cr_expect_eq(totals.throttled_ns, 500000);
  put_throttled(100); /* moved to another group */
  tick(&rf_source_throttling);
  cr_expect_eq(totals.throttled_ns, 500000);
}

Test(cgroup, none, .fini = clean_up) {
  prepare(NULL);
  cr_expect_not(rf_source_throttling.open(&reading));
  cr_expect_str_eq(reason("system.cpu.throttled_s"), "no cgroup with a CPU controller");
  rf_source_limit.open(&reading);
  rf_source_limit.close(&reading);
  cr_expect_not(known(&totals.cgroup_limit_bytes));
  cr_expect_str_eq(reason("system.memory.cgroup_limit_bytes"), "no cgroup limits the process's memory");
}

Test(cgroup, absurd, .fini = clean_up) {
  static const char *const lines[] = {"0::\n", "::\n", "0:\n", "x", "0::/../../../etc\n", "1:cpu,memory:/\n"};
  for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
    if (i == 0) prepare(NULL);
    put("/proc/self/cgroup", "%s", lines[i]);
    put("/sys/fs/cgroup/memory.max", "99999999999999999999\n");
    rf_source_limit.open(&reading);
    rf_source_throttling.open(&reading);
    cr_expect_not(known(&totals.cgroup_limit_bytes), "%s", lines[i]);
    cr_expect_not(known(&totals.throttled_ns), "%s", lines[i]);
  }
}

/* ---- GPUs through DRM ---- */

static const struct rf_gpu_entry *gpu_entry(void) {
  const struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_GPU));
  return chunk && chunk->count == 1 ? (const void *)(chunk + 1) : NULL;
}

static void put_client(int fd, int id, unsigned long gfx_ns, unsigned long compute_ns) {
  char path[64], link[512];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
  put(path,
      "pos:\t0\ndrm-driver:\tamdgpu\ndrm-client-id:\t%d\ndrm-pdev:\t0000:03:00.0\ndrm-memory-vram:\t1024 "
      "KiB\n"
      "drm-engine-gfx:\t%lu ns\ndrm-engine-compute:\t%lu ns\ndrm-engine-capacity-compute:\t2\n",
      id, gfx_ns, compute_ns);
  snprintf(path, sizeof path, "/proc/self/fd/x");
  put(path, "%s", "");
  snprintf(link, sizeof link, "%s/proc/self/fd/%d", scratch, fd);
  unlink(link);
  cr_assert_eq(symlink("/dev/dri/renderD128", link), 0);
}

static struct rf_gpu_use drm_tick(void) {
  struct rf_gpu_use use = {NAN, NAN};
  reading.now_ns += SECOND;
  if (!rf_gpu_drm.read(&reading, &use)) use = (struct rf_gpu_use){NAN, NAN};
  return use;
}

Test(drm, captured) {
  prepare("drm");
  struct rf_gpu_use use = drm_tick();
  cr_expect_float_eq(use.memory_bytes, (65536.0 + 2048 + 1024 + 2048) * 1024, 1, "a client counts once: %g",
                     use.memory_bytes);
  drm_tick();
  const struct rf_gpu_entry *e = gpu_entry();
  cr_assert(e);
  cr_expect_str_eq(((struct rf_string *)rf_recording_at(e->name))->bytes, "amdgpu 0000:03:00.0");
  cr_expect_str_eq(((struct rf_string *)rf_recording_at(e->scope))->bytes, "process");
  cr_expect_eq(e->temperature_c, 61);
  cr_expect_eq(e->power_w, 87);
  cr_expect_eq(e->energy_j, 0);
  cr_expect_eq(e->utilization_sum, 0, "the counters stood still");
}

Test(drm, busy_engines, .fini = clean_up) {
  prepare(NULL);
  put_client(5, 1, 0, 0);
  put_client(6, 1, 0, 0);
  put_client(7, 2, 0, 0);
  drm_tick();
  put_client(5, 1, 300000000, 100000000);
  put_client(6, 1, 300000000, 100000000);
  put_client(7, 2, 100000000, 900000000);
  struct rf_gpu_use use = drm_tick();
  cr_expect_float_eq(use.utilization, 0.5, 1e-6, "two clients' compute, on an engine of two: %g",
                     use.utilization);
  put_client(5, 1, 100000000, 100000000); /* backwards */
  put_client(6, 1, 100000000, 100000000);
  use = drm_tick();
  cr_expect(isnan(use.utilization), "%g", use.utilization);
  put_client(5, 1, 350000000, 100000000);
  put_client(6, 1, 350000000, 100000000);
  use = drm_tick();
  cr_expect_float_eq(use.utilization, 0.25, 1e-6, "%g", use.utilization);
}

Test(drm, nothing_there, .fini = clean_up) {
  prepare(NULL);
  struct rf_gpu_use use = drm_tick();
  cr_expect(isnan(use.utilization));
  cr_expect_str_eq(rf_gpu_why(), "/proc/self/fdinfo can't be read");
  cr_expect_eq(rf_gpu_devices(), 0);
}

/* ---- the alert ---- */

Test(alert, trembling_is_one_crossing) {
  prepare("drm");
  rf_alert_set(1000000);
  static const uint64_t sizes[] = {900000, 1000001, 999000, 1000500, 980000, 1000001, 960000, 1100000};
  for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) rf_alert_look(&reading, sizes[i]);
  cr_expect_eq(totals.rss_alerts, 2, "%lu", totals.rss_alerts);
  rf_alert_set(0);
  rf_alert_look(&reading, 0);
  rf_alert_look(&reading, 1ull << 40);
  cr_expect_eq(rf_sampler_alerts(), 2);
}
