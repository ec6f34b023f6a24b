/* Which vendors are in use, and when they start: see gpu.h. On app threads only. */
#include "sample/gpu.h"

#include <string.h>

#include "base/clock.h"

const struct rf_gpu_vendor *const rf_gpu_vendors[RF_GPU_VENDORS] = {&rf_gpu_nvml, &rf_gpu_drm};

static struct {
  enum rf_auto mode;
  int64_t interval_ns;
  bool armed;                  /* rf_sampler_start came */
  bool loaded[RF_GPU_VENDORS]; /* a library of its driver was seen */
  bool used[RF_GPU_VENDORS];
} gpu;

/* At most once a vendor: its own start may load libraries, whose appearance leads back to here. */
static void use(unsigned vendor) {
  if (__atomic_exchange_n(&gpu.used[vendor], true, __ATOMIC_ACQ_REL)) return;
  if (rf_gpu_vendors[vendor]->start) rf_gpu_vendors[vendor]->start(gpu.interval_ns);
}

static void consider(void) {
  if (!__atomic_load_n(&gpu.armed, __ATOMIC_ACQUIRE) || gpu.mode == RF_OFF) return;
  for (unsigned i = 0; i < RF_GPU_VENDORS; i++)
    if (gpu.mode == RF_ON || gpu.loaded[i]) use(i);
}

void rf_gpu_start(enum rf_auto mode, int64_t interval_ns) {
  gpu.mode = mode;
  gpu.interval_ns = interval_ns;
  __atomic_store_n(&gpu.armed, true, __ATOMIC_RELEASE);
  consider();
}

static bool begins_with(const char *name, const char *beginning) {
  return strncmp(name, beginning, strlen(beginning)) == 0;
}

void rf_sampler_module_loaded(const char *name) {
  if (!name) return;
  const char *slash = strrchr(name, '/');
  const char *base = slash ? slash + 1 : name;
  bool any = false;
  for (unsigned i = 0; i < RF_GPU_VENDORS; i++)
    for (const char *const *library = rf_gpu_vendors[i]->libraries; *library; library++)
      if (begins_with(base, *library)) any = gpu.loaded[i] = true;
  if (any) consider();
}

bool rf_gpu_in_use(unsigned vendor) { return __atomic_load_n(&gpu.used[vendor], __ATOMIC_ACQUIRE); }

void rf_gpu_ask_stop(void) {
  for (unsigned i = 0; i < RF_GPU_VENDORS; i++)
    if (gpu.used[i] && rf_gpu_vendors[i]->ask_stop) rf_gpu_vendors[i]->ask_stop();
}

void rf_gpu_stop(int64_t deadline_ns) {
  for (unsigned i = 0; i < RF_GPU_VENDORS; i++) {
    if (gpu.used[i] && rf_gpu_vendors[i]->stop) rf_gpu_vendors[i]->stop(deadline_ns);
    gpu.used[i] = false;
  }
  gpu.armed = false;
}

/* A driver that the parent had loaded is of no use in a forked child, so it counts as not loaded. */
void rf_gpu_forget(void) {
  for (unsigned i = 0; i < RF_GPU_VENDORS; i++) {
    if (rf_gpu_vendors[i]->forget) rf_gpu_vendors[i]->forget();
    gpu.loaded[i] = gpu.used[i] = false;
  }
  gpu.armed = false;
  rf_gpu_track_forget();
}
