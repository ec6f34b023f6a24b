/*
 * A small app that uses a GPU and runs the sampler on itself: load SECONDS MEBIBYTES. It holds MEBIBYTES of
 * the first device's memory for two times SECONDS: idle, then busy with a kernel that spins. What the sampler
 * found comes out as lines "name value"; tests/gpu/run compares them with nvidia-smi. The CUDA driver is
 * loaded as an app would, by dlopen, and declared here, so that no toolkit is needed.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "recording/writer.h"
#include "sample/sampler.h"

static const char spin_ptx[] = ".version 6.0\n"
                               ".target sm_50\n"
                               ".address_size 64\n"
                               ".visible .entry spin(.param .u64 cycles)\n"
                               "{\n"
                               "  .reg .pred %p;\n"
                               "  .reg .b64 %rd<5>;\n"
                               "  ld.param.u64 %rd1, [cycles];\n"
                               "  mov.u64 %rd2, %clock64;\n"
                               "again:\n"
                               "  mov.u64 %rd3, %clock64;\n"
                               "  sub.u64 %rd4, %rd3, %rd2;\n"
                               "  setp.lt.u64 %p, %rd4, %rd1;\n"
                               "  @%p bra again;\n"
                               "  ret;\n"
                               "}\n";

static struct {
  int (*init)(unsigned);
  int (*device)(int *, int);
  int (*context)(void **, unsigned, int);
  int (*allocate)(uint64_t *, size_t);
  int (*load)(void **, const void *);
  int (*function)(void **, void *, const char *);
  int (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *, void **,
                void **);
  int (*synchronize)(void);
} cuda;

static void skip(const char *why) {
  printf("skipped: %s\n", why);
  exit(77);
}

static void check(int result, const char *what) {
  if (result == 0) return;
  printf("%s: CUDA error %d\n", what, result);
  exit(1);
}

static void *find(void *library, const char *name) {
  void *found = dlsym(library, name);
  if (!found) skip(name);
  return found;
}

static void load_cuda(void) {
  void *l = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);
  if (!l) skip("no libcuda.so.1");
  *(void **)&cuda.init = find(l, "cuInit");
  *(void **)&cuda.device = find(l, "cuDeviceGet");
  *(void **)&cuda.context = find(l, "cuCtxCreate_v2");
  *(void **)&cuda.allocate = find(l, "cuMemAlloc_v2");
  *(void **)&cuda.load = find(l, "cuModuleLoadData");
  *(void **)&cuda.function = find(l, "cuModuleGetFunction");
  *(void **)&cuda.launch = find(l, "cuLaunchKernel");
  *(void **)&cuda.synchronize = find(l, "cuCtxSynchronize");
}

static void *spin;

static void prepare_device(size_t bytes) {
  int device;
  void *context, *module;
  uint64_t block;
  if (cuda.init(0) != 0 || cuda.device(&device, 0) != 0) skip("the driver has no device");
  check(cuda.context(&context, 0, device), "cuCtxCreate");
  check(cuda.allocate(&block, bytes), "cuMemAlloc");
  check(cuda.load(&module, spin_ptx), "cuModuleLoadData");
  check(cuda.function(&spin, module, "spin"), "cuModuleGetFunction");
}

static double now(void) { return (double)rf_monotonic_ns() / 1e9; }

static void be_busy(double seconds) {
  uint64_t cycles = 20000000; /* some 10 ms */
  void *parameters[] = {&cycles};
  for (double end = now() + seconds; now() < end;) {
    check(cuda.launch(spin, 256, 1, 1, 256, 1, 1, 0, NULL, parameters, NULL), "cuLaunchKernel");
    check(cuda.synchronize(), "cuCtxSynchronize");
  }
}

static void be_idle(double seconds) {
  struct timespec wait = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&wait, NULL);
}

static const struct rf_system_entry *system_entry(void) {
  return (const void *)((const struct rf_chunk *)rf_recording_at(*rf_recording_root(RF_TABLE_SYSTEM)) + 1);
}

/* Mean of a metric's points that lie wholly in [from, to), seconds since the start. */
static double phase_mean(enum rf_metric metric, double from, double to) {
  double sum = 0, weight = 0;
  const struct rf_chunk *chunk = rf_recording_at(system_entry()->current_timeline);
  for (; chunk; chunk = rf_recording_at(chunk->next)) {
    const struct rf_sample_entry *point = (const void *)(chunk + 1);
    for (uint32_t i = 0; i < chunk->count; i++, point++) {
      bool inside = point->time_s - point->length_s / 2 >= from && point->time_s + point->length_s / 2 < to;
      if (!inside || isnan(point->value[metric][1])) continue;
      sum += point->value[metric][1] * point->length_s;
      weight += point->length_s;
    }
  }
  return weight > 0 ? sum / weight : NAN;
}

static const char *text(rf_ref ref) { return ((const struct rf_string *)rf_recording_at(ref))->bytes; }

static void print_devices(void) {
  const struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_GPU));
  const struct rf_gpu_entry *e = (const void *)(chunk + 1);
  printf("devices %u\n", chunk ? chunk->count : 0);
  if (!chunk) return;
  printf("name %s\nscope %s\n", text(e->name), text(e->scope));
  printf("utilization_mean %.4f\nutilization_max %.4f\n", e->utilization_sum / e->utilization_weight,
         e->utilization_max);
  printf("memory_mean_mib %.1f\nmemory_max_mib %.1f\n", e->memory_sum / e->memory_weight / 1048576,
         e->memory_max / 1048576);
  printf("energy_j %.2f\npower_w %.2f\ntemperature_c %.1f\nsamples %lu\n", e->energy_j, e->power_w,
         e->temperature_c, (unsigned long)e->samples);
}

static void print_reasons(void) {
  const struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_UNAVAILABLE));
  const struct rf_fact_entry *entry = (const void *)(chunk + 1);
  for (uint32_t i = 0; chunk && i < chunk->count; i++)
    printf("unavailable %s: %s\n", text(entry[i].key), text(entry[i].value));
}

int main(int argc, char **argv) {
  double seconds = argc > 1 ? atof(argv[1]) : 5;
  size_t bytes = (size_t)(argc > 2 ? atoi(argv[2]) : 512) << 20;
  struct rf_recording_plan recording = {.is_root = true};
  struct rf_sampler_plan plan = {
      .interval_ns = 100000000, .cpu = true, .memory = true, .disk = true, .network = true, .system = true};
  if (rf_recording_create(&recording) < 0 || rf_sampler_start(&plan) < 0) return 1;
  double start = (double)rf_recording_header()->start_monotonic_ns / 1e9;
  load_cuda();
  rf_sampler_module_loaded("libcuda.so.1"); /* as the preload library's hook says it */
  prepare_device(bytes);
  printf("pid %d\n", getpid());
  fflush(stdout);
  double idle = now() - start, busy, end;
  be_idle(seconds);
  busy = now() - start;
  be_busy(seconds);
  end = now() - start;
  double before = now();
  rf_sampler_stop();
  printf("stop_s %.4f\nduration_s %.3f\nself_cpu_s %.4f\n", now() - before, end,
         (double)rf_recording_header()->self_cpu_ns / 1e9);
  /* The first second and a half of a phase still holds what the driver sampled before it. */
  printf("idle_utilization %.4f\nbusy_utilization %.4f\n",
         phase_mean(RF_METRIC_GPU_UTILIZATION, idle + 1.5, busy),
         phase_mean(RF_METRIC_GPU_UTILIZATION, busy + 1.5, end));
  printf("busy_memory_mib %.1f\n", phase_mean(RF_METRIC_GPU_MEMORY, busy + 0.5, end) / 1048576);
  print_devices();
  print_reasons();
  rf_recording_flush(true);
  return 0;
}
