/*
 * The part of NVML's binary interface that is used, as NVIDIA documents it: declared here, because the
 * library is found at run time and no header of theirs is needed to build. Every function may be missing.
 */
#pragma once

#include <stdint.h>

typedef struct nvml_device *nvml_device; /* opaque */

enum {
  NVML_SUCCESS = 0,
  NVML_NOT_SUPPORTED = 3,
  NVML_NO_PERMISSION = 4,
  NVML_NOT_FOUND = 6,
  NVML_INSUFFICIENT_SIZE = 7
};

#define NVML_TEMPERATURE_GPU 0
#define NVML_VALUE_NOT_AVAILABLE UINT64_MAX

struct nvml_utilization {
  unsigned gpu, memory; /* percent */
};
struct nvml_memory {
  uint64_t total, free, used;
};
/* Of nvmlDeviceGet*RunningProcesses_v2 and _v3; the first version ends after used_bytes. */
struct nvml_process {
  unsigned pid;
  uint64_t used_bytes;
  unsigned gpu_instance, compute_instance;
};
struct nvml_process_v1 {
  unsigned pid;
  uint64_t used_bytes;
};
struct nvml_process_sample {
  unsigned pid;
  uint64_t time_us;                      /* since 1970 */
  unsigned sm, memory, encoder, decoder; /* percent */
};

typedef int nvml_processes_function(nvml_device device, unsigned *count, void *rows);

struct nvml {
  int (*init)(void);
  int (*device_count)(unsigned *count);
  int (*device)(unsigned index, nvml_device *device);
  int (*name)(nvml_device device, char *name, unsigned length);
  int (*utilization)(nvml_device device, struct nvml_utilization *utilization);
  int (*memory)(nvml_device device, struct nvml_memory *memory);
  int (*power)(nvml_device device, unsigned *milliwatts);
  int (*temperature)(nvml_device device, int sensor, unsigned *degrees);
  int (*energy)(nvml_device device, unsigned long long *millijoules);
  int (*process_utilization)(nvml_device device, struct nvml_process_sample *samples, unsigned *count,
                             unsigned long long since_us);
  nvml_processes_function *compute, *graphics;       /* with instances */
  nvml_processes_function *compute_v1, *graphics_v1; /* without */
};
