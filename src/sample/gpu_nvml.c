/*
 * NVIDIA GPUs through NVML, on a pthread of its own: its calls take from microseconds to seconds, hold the
 * driver's locks and allocate. Nothing waits for it: the sampler takes the figures that it published last,
 * and at exit it is left where it is when it doesn't answer.
 *
 *   every cycle (the sampler's interval, or 100 times what a cycle costs)   utilization, memory
 *   every second                                                           power, temperature, energy
 *
 * Where NVML tells which processes use a device, and how much each, the scope is "process"; else "device".
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/thread.h"
#include "sample/gpu.h"
#include "sample/nvml.h"

#define DEVICES 16
#define ROWS 512
#define COST_LIMIT 100
#define SECOND 1000000000ll
/* Before a device that the process was not seen on is reported as a whole. */
#define PATIENCE_NS (2 * SECOND)
#define STACK_BYTES (1u << 20)

struct device {
  nvml_device handle;
  char name[96];
  uint64_t total_bytes;
  struct rf_gpu_track process, whole;
  bool process_seen;    /* the process was in the device's list */
  bool tells_processes; /* it samples utilization by process */
  uint64_t newest_us;   /* of the samples seen */
  double process_utilization;
  int64_t process_utilization_ns; /* when that was told */
  double power_sum, power_weight, temperature_max;
  uint64_t energy_first, energy_last;
  bool energy_known;
};

static struct {
  struct nvml nvml;
  struct device device[DEVICES];
  uint32_t devices;
  int64_t interval_ns, started_ns, cycle_ns, slow_ns;
  uint32_t pid;
  uint32_t stopping;     /* futex: 1 asked to end */
  uint32_t running;      /* futex: the thread lives */
  uint32_t tid;          /* its; until it is gone from the process, which is somewhat later. 0: it is */
  uint32_t given_up;     /* nobody waits any more: touch nothing of the recording */
  struct rf_gpu_use use; /* published; used_ns last */
  int64_t used_ns;
  struct rf_own own;
} gpu;

static bool stopping(void) { return __atomic_load_n(&gpu.stopping, __ATOMIC_ACQUIRE) != 0; }
static bool given_up(void) { return __atomic_load_n(&gpu.given_up, __ATOMIC_ACQUIRE) != 0; }

/* ---- finding the library ---- */

/* The first of up to three names that the library has. */
static void *symbol(void *library, const char *a, const char *b, const char *c) {
  const char *const names[] = {a, b, c};
  for (int i = 0; i < 3; i++) {
    void *found = names[i] ? dlsym(library, names[i]) : NULL;
    if (found) return found;
  }
  return NULL;
}

static void bind(struct nvml *n, void *l) {
  *(void **)&n->init = symbol(l, "nvmlInit_v2", "nvmlInit", NULL);
  *(void **)&n->device_count = symbol(l, "nvmlDeviceGetCount_v2", "nvmlDeviceGetCount", NULL);
  *(void **)&n->device = symbol(l, "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex", NULL);
  *(void **)&n->name = symbol(l, "nvmlDeviceGetName", NULL, NULL);
  *(void **)&n->utilization = symbol(l, "nvmlDeviceGetUtilizationRates", NULL, NULL);
  *(void **)&n->memory = symbol(l, "nvmlDeviceGetMemoryInfo", NULL, NULL);
  *(void **)&n->power = symbol(l, "nvmlDeviceGetPowerUsage", NULL, NULL);
  *(void **)&n->temperature = symbol(l, "nvmlDeviceGetTemperature", NULL, NULL);
  *(void **)&n->energy = symbol(l, "nvmlDeviceGetTotalEnergyConsumption", NULL, NULL);
  *(void **)&n->process_utilization = symbol(l, "nvmlDeviceGetProcessUtilization", NULL, NULL);
  *(void **)&n->compute =
      symbol(l, "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2", NULL);
  *(void **)&n->graphics =
      symbol(l, "nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2", NULL);
  *(void **)&n->compute_v1 = symbol(l, "nvmlDeviceGetComputeRunningProcesses", NULL, NULL);
  *(void **)&n->graphics_v1 = symbol(l, "nvmlDeviceGetGraphicsRunningProcesses", NULL, NULL);
}

static bool load(void) {
  void *library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    rf_gpu_say_why("libnvidia-ml.so.1 can't be loaded");
    return false;
  }
  bind(&gpu.nvml, library);
  if (!gpu.nvml.init || !gpu.nvml.device_count || !gpu.nvml.device) {
    rf_gpu_say_why("libnvidia-ml.so.1 lacks the functions that name its devices");
    return false;
  }
  return true;
}

static void open_device(struct device *device, unsigned index) {
  struct nvml_memory memory = {0};
  if (!gpu.nvml.name || gpu.nvml.name(device->handle, device->name, sizeof device->name) != NVML_SUCCESS)
    snprintf(device->name, sizeof device->name, "NVIDIA GPU %u", index);
  device->name[sizeof device->name - 1] = 0;
  if (gpu.nvml.memory && gpu.nvml.memory(device->handle, &memory) == NVML_SUCCESS)
    device->total_bytes = memory.total;
  device->newest_us = (uint64_t)(rf_realtime_ns() / 1000);
  device->process_utilization = __builtin_nan("");
  device->process_utilization_ns = rf_monotonic_ns();
  device->temperature_max = __builtin_nan("");
}

static bool open_devices(void) {
  unsigned count = 0;
  if (gpu.nvml.init() != NVML_SUCCESS) {
    rf_gpu_say_why("NVML does not start: no NVIDIA driver is running");
    return false;
  }
  if (gpu.nvml.device_count(&count) != NVML_SUCCESS) count = 0;
  for (unsigned i = 0; i < count && gpu.devices < DEVICES && !stopping(); i++) {
    struct device *device = &gpu.device[gpu.devices];
    if (gpu.nvml.device(i, &device->handle) != NVML_SUCCESS) continue;
    open_device(device, i);
    gpu.devices++;
  }
  if (gpu.devices == 0) rf_gpu_say_why("NVML names no device");
  return gpu.devices > 0;
}

/* ---- one device, one moment ---- */

/* A figure of bytes that can't be is none. */
static double plausible_bytes(const struct device *device, uint64_t bytes) {
  if (bytes == NVML_VALUE_NOT_AVAILABLE || bytes > 1ull << 50) return __builtin_nan("");
  if (device->total_bytes && bytes > device->total_bytes) return __builtin_nan("");
  return (double)bytes;
}

static bool find_process(const struct device *device, nvml_processes_function *list,
                         nvml_processes_function *list_v1, double *bytes) {
  static union { /* twice the size of what is asked for: some drivers' rows are longer than documented */
    struct nvml_process row[2 * ROWS];
    struct nvml_process_v1 row_v1[2 * ROWS];
  } rows;
  unsigned count = ROWS;
  if (list ? list(device->handle, &count, &rows) : list_v1 ? list_v1(device->handle, &count, &rows) : -1)
    return false;
  for (unsigned i = 0; i < count && i < ROWS; i++) {
    unsigned pid = list ? rows.row[i].pid : rows.row_v1[i].pid;
    if (pid != gpu.pid) continue;
    *bytes = plausible_bytes(device, list ? rows.row[i].used_bytes : rows.row_v1[i].used_bytes);
    return true;
  }
  return false;
}

/* A process that computes and draws stands in both lists, with the same figure. */
static double process_memory(struct device *device) {
  double compute = __builtin_nan(""), graphics = compute;
  bool found = find_process(device, gpu.nvml.compute, gpu.nvml.compute_v1, &compute);
  if (stopping()) return __builtin_nan("");
  found |= find_process(device, gpu.nvml.graphics, gpu.nvml.graphics_v1, &graphics);
  if (found)
    device->process_seen = true;
  else if (device->process_seen)
    return 0;
  return graphics > compute || compute != compute ? graphics : compute;
}

/* The mean of the process's samples since the last look, or none of it when there are none of anybody. */
static void take_samples(struct device *device, const struct nvml_process_sample *samples, unsigned count) {
  uint64_t newest = device->newest_us, future = (uint64_t)(rf_realtime_ns() / 1000) + 10000000;
  double sum = 0;
  unsigned mine = 0;
  for (unsigned i = 0; i < count && i < ROWS; i++) {
    const struct nvml_process_sample *sample = &samples[i];
    if (sample->time_us <= device->newest_us || sample->time_us > future || sample->sm > 100) continue;
    if (sample->time_us > newest) newest = sample->time_us;
    if (sample->pid != gpu.pid) continue;
    sum += sample->sm / 100.0;
    mine++;
  }
  if (newest == device->newest_us) return;
  device->newest_us = newest;
  device->process_utilization = mine ? sum / mine : 0;
  device->process_utilization_ns = gpu.cycle_ns;
}

/* NVML samples some times a second: between its samples the last one holds, for a second and a half. */
static void process_utilization(struct device *device) {
  static struct nvml_process_sample samples[ROWS];
  unsigned count = ROWS;
  if (!gpu.nvml.process_utilization) return;
  int result = gpu.nvml.process_utilization(device->handle, samples, &count, device->newest_us);
  if (result != NVML_SUCCESS && result != NVML_NOT_FOUND) return;
  device->tells_processes = true;
  if (result == NVML_SUCCESS) take_samples(device, samples, count);
  if (gpu.cycle_ns - device->process_utilization_ns > SECOND * 3 / 2) device->process_utilization = 0;
}

static double whole_utilization(const struct device *device) {
  struct nvml_utilization utilization = {0};
  if (!gpu.nvml.utilization || gpu.nvml.utilization(device->handle, &utilization) != NVML_SUCCESS)
    return __builtin_nan("");
  return utilization.gpu > 100 ? __builtin_nan("") : utilization.gpu / 100.0;
}

static double whole_memory(const struct device *device) {
  struct nvml_memory memory = {0};
  if (!gpu.nvml.memory || gpu.nvml.memory(device->handle, &memory) != NVML_SUCCESS) return __builtin_nan("");
  return plausible_bytes(device, memory.used);
}

static void slow_figures(struct device *device, double seconds) {
  unsigned value = 0;
  unsigned long long energy = 0;
  if (gpu.nvml.power && gpu.nvml.power(device->handle, &value) == NVML_SUCCESS && value < 10000000) {
    device->power_sum += value / 1000.0 * seconds;
    device->power_weight += seconds;
  }
  if (stopping()) return;
  if (gpu.nvml.temperature &&
      gpu.nvml.temperature(device->handle, NVML_TEMPERATURE_GPU, &value) == NVML_SUCCESS && value < 200 &&
      !(device->temperature_max >= value))
    device->temperature_max = value;
  if (stopping()) return;
  if (!gpu.nvml.energy || gpu.nvml.energy(device->handle, &energy) != NVML_SUCCESS) return;
  if (!device->energy_known) device->energy_first = energy;
  if (!device->energy_known || energy >= device->energy_last) device->energy_last = energy;
  device->energy_known = true;
}

/* ---- cycles ---- */

static bool by_process(const struct device *device) {
  return device->process_seen && device->tells_processes;
}

static void write_device(struct device *device) {
  bool process = by_process(device);
  struct rf_gpu_track *track = process ? &device->process : &device->whole;
  if (given_up() || !rf_gpu_track_write(track, process ? &device->whole : NULL, device->name,
                                        process ? "process" : "device"))
    return;
  struct rf_gpu_entry *entry = track->entry;
  if (device->power_weight > 0) entry->power_w = device->power_sum / device->power_weight;
  entry->temperature_c = device->temperature_max;
  if (device->energy_known) entry->energy_j = (double)(device->energy_last - device->energy_first) / 1000;
}

static bool any_by_process(void) {
  for (uint32_t i = 0; i < gpu.devices; i++)
    if (by_process(&gpu.device[i])) return true;
  return false;
}

/* Devices of other processes are left out once the process is seen on one; before that, nobody knows for a
 * moment. */
static bool whole_counts(void) { return !any_by_process() && gpu.cycle_ns - gpu.started_ns > PATIENCE_NS; }

static void write_devices(bool last) {
  bool whole = whole_counts() || (last && !any_by_process());
  for (uint32_t i = 0; i < gpu.devices; i++)
    if (whole || by_process(&gpu.device[i])) write_device(&gpu.device[i]);
}

static double plus(double a, double b) { return a != a ? b : b != b ? a : a + b; }

static void look_at(struct device *device, double seconds, struct rf_gpu_use *process,
                    struct rf_gpu_use *whole) {
  double memory = process_memory(device);
  if (stopping()) return;
  process_utilization(device);
  if (stopping()) return;
  double all = whole_utilization(device), all_memory = stopping() ? __builtin_nan("") : whole_memory(device);
  rf_gpu_track_add(&device->whole, all, all_memory, seconds);
  whole->utilization = plus(whole->utilization, all);
  whole->memory_bytes = plus(whole->memory_bytes, all_memory);
  if (!by_process(device)) return;
  rf_gpu_track_add(&device->process, device->process_utilization, memory, seconds);
  process->utilization = plus(process->utilization, device->process_utilization);
  process->memory_bytes = plus(process->memory_bytes, memory);
}

static void publish(struct rf_gpu_use use) {
  __atomic_store(&gpu.use.utilization, &use.utilization, __ATOMIC_RELAXED);
  __atomic_store(&gpu.use.memory_bytes, &use.memory_bytes, __ATOMIC_RELAXED);
  __atomic_store_n(&gpu.used_ns, gpu.cycle_ns, __ATOMIC_RELEASE);
}

static void cycle(double seconds) {
  struct rf_gpu_use process = {__builtin_nan(""), __builtin_nan("")}, whole = process;
  for (uint32_t i = 0; i < gpu.devices && !stopping(); i++)
    look_at(&gpu.device[i], seconds, &process, &whole);
  if (stopping()) return;
  double slow_seconds = (double)(gpu.cycle_ns - gpu.slow_ns) / 1e9;
  bool first = gpu.slow_ns == 0, slow = first || slow_seconds >= 0.95;
  if (first) slow_seconds = 0.001; /* what is read at once counts little, but counts */
  for (uint32_t i = 0; i < gpu.devices && slow && !stopping(); i++)
    slow_figures(&gpu.device[i], slow_seconds);
  if (slow) gpu.slow_ns = gpu.cycle_ns;
  if (!given_up() && (any_by_process() || whole_counts())) publish(any_by_process() ? process : whole);
  write_devices(false);
}

static void sleep_until(int64_t when_ns) {
  struct timespec until = {when_ns / SECOND, when_ns % SECOND};
  rf_syscall(SYS_futex, &gpu.stopping, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, &until, 0,
             FUTEX_BITSET_MATCH_ANY);
}

static void publish_own(void) {
  struct rf_own own = {0};
  rf_own_measure(&own);
  gpu.own = own;
}

static void run(void) {
  if (stopping() || !load() || stopping() || !open_devices()) return;
  gpu.started_ns = gpu.cycle_ns = rf_monotonic_ns();
  gpu.slow_ns = 0;
  for (int64_t last_ns = gpu.started_ns; !stopping(); last_ns = gpu.cycle_ns) {
    gpu.cycle_ns = rf_monotonic_ns();
    cycle((double)(gpu.cycle_ns - last_ns) / 1e9);
    publish_own();
    int64_t cost = (rf_monotonic_ns() - gpu.cycle_ns) * COST_LIMIT;
    sleep_until(gpu.cycle_ns + (cost > gpu.interval_ns ? cost : gpu.interval_ns));
  }
}

/* The energy of the end, as long as somebody waits for it. */
static void finish(void) {
  for (uint32_t i = 0; i < gpu.devices && !given_up(); i++) {
    unsigned long long energy = 0;
    struct device *device = &gpu.device[i];
    if (device->energy_known && gpu.nvml.energy(device->handle, &energy) == NVML_SUCCESS &&
        energy >= device->energy_last)
      device->energy_last = energy;
  }
  if (!given_up()) write_devices(true);
}

static void *thread_body(void *unused) {
  rf_internal_enter(); /* for good: whatever is allocated here is Refunc's */
  pthread_setname_np(pthread_self(), "refunc-gpu");
  __atomic_store_n(&gpu.tid, (uint32_t)rf_syscall(SYS_gettid), __ATOMIC_RELEASE);
  run();
  finish();
  publish_own();
  __atomic_store_n(&gpu.running, 0, __ATOMIC_RELEASE);
  rf_syscall(SYS_futex, &gpu.running, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
  return unused;
}

/* ---- from outside ---- */

static int create_thread(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  sigfillset(&all);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, &attributes, thread_body, NULL);
  if (error == EINVAL) { /* the app's static TLS, which glibc takes out of the stack, is larger than that */
    pthread_attr_setstacksize(&attributes, 8 * STACK_BYTES);
    error = pthread_create(&thread, &attributes, thread_body, NULL);
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
  return error;
}

static void start_nvml(int64_t interval_ns) {
  int saved = errno;
  if (__atomic_load_n(&gpu.running, __ATOMIC_ACQUIRE)) return; /* stuck since an earlier stop */
  gpu.interval_ns = interval_ns;
  gpu.pid = (uint32_t)getpid();
  gpu.devices = gpu.stopping = gpu.given_up = 0;
  gpu.used_ns = 0;
  gpu.running = 1;
  rf_internal_enter();
  if (create_thread() != 0) {
    gpu.running = 0;
    rf_gpu_say_why("the thread that asks NVML was refused");
  }
  rf_internal_leave();
  errno = saved;
}

static void ask_stop_nvml(void) {
  __atomic_store_n(&gpu.stopping, 1, __ATOMIC_RELEASE);
  rf_syscall(SYS_futex, &gpu.stopping, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}

static void stop_nvml(int64_t deadline_ns) {
  struct timespec until = {deadline_ns / SECOND, deadline_ns % SECOND};
  ask_stop_nvml();
  while (__atomic_load_n(&gpu.running, __ATOMIC_ACQUIRE) && rf_monotonic_ns() < deadline_ns)
    rf_syscall(SYS_futex, &gpu.running, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 1, &until, 0,
               FUTEX_BITSET_MATCH_ANY);
  if (!__atomic_load_n(&gpu.running, __ATOMIC_ACQUIRE)) return;
  __atomic_store_n(&gpu.given_up, 1, __ATOMIC_RELEASE);
  rf_gpu_say_why("NVML did not answer in time");
}

static void forget_nvml(void) {
  for (uint32_t i = 0; i < DEVICES; i++) gpu.device[i] = (struct device){0};
  gpu.devices = gpu.running = gpu.stopping = gpu.given_up = 0;
  gpu.used_ns = 0;
  gpu.own = (struct rf_own){0};
  gpu.tid = 0;
}

static bool read_nvml(struct rf_reading *r, struct rf_gpu_use *use) {
  int64_t when = __atomic_load_n(&gpu.used_ns, __ATOMIC_ACQUIRE);
  if (when == 0 || r->now_ns - when > 3 * SECOND) return false; /* never, or stuck in a call */
  __atomic_load(&gpu.use.utilization, &use->utilization, __ATOMIC_RELAXED);
  __atomic_load(&gpu.use.memory_bytes, &use->memory_bytes, __ATOMIC_RELAXED);
  return true;
}

/* Whether the process still has the thread, which the kernel counts for a moment after its last word. */
static bool is_there(void) {
  uint32_t tid = __atomic_load_n(&gpu.tid, __ATOMIC_ACQUIRE);
  if (__atomic_load_n(&gpu.running, __ATOMIC_ACQUIRE)) return true;
  if (tid && rf_syscall(SYS_tgkill, gpu.pid, tid, 0) == 0) return true;
  gpu.tid = 0;
  return false;
}

static uint32_t own_nvml(struct rf_own *own) {
  rf_own_add(own, &gpu.own);
  return is_there() ? 1 : 0;
}

static const char *const libraries[] = {"libcuda.so", "libnvidia-ml.so", NULL};

const struct rf_gpu_vendor rf_gpu_nvml = {.name = "nvidia",
                                          .libraries = libraries,
                                          .start = start_nvml,
                                          .ask_stop = ask_stop_nvml,
                                          .stop = stop_nvml,
                                          .forget = forget_nvml,
                                          .read = read_nvml,
                                          .own = own_nvml};
