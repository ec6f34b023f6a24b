/* GPUs on the sampler's thread: what the vendors know of now, and the devices' entries in the recording. */
#include "base/lock.h"
#include "recording/writer.h"
#include "sample/gpu.h"

static struct rf_lock table_lock; /* one appender at a time; nobody calls a driver while holding it */
static uint32_t devices;
static const char *why;

static double plus(double a, double b) { return a != a ? b : b != b ? a : a + b; }

static int64_t last_look_ns; /* with a known utilization; 0: none */

/* For whoever compares two moments: functions (system.per_function) and monitors. */
static void tell(const struct rf_reading *r, const struct rf_gpu_use *use) {
  struct rf_header *header = r->header;
  bool known = use->utilization >= 0 && use->utilization <= 4096;
  int64_t passed = known && last_look_ns ? r->now_ns - last_look_ns : 0;
  if (passed > 0) {
    header->gpu_busy_ns += (uint64_t)(use->utilization * (double)passed);
    header->gpu_time_ns += (uint64_t)passed;
  }
  last_look_ns = known ? r->now_ns : 0;
  header->gpu_memory_bytes =
      use->memory_bytes >= 0 && use->memory_bytes < 1e18 ? (uint64_t)use->memory_bytes : UINT64_MAX;
}

static void read_gpu(struct rf_reading *r) {
  struct rf_gpu_use sum = {__builtin_nan(""), __builtin_nan("")};
  for (unsigned i = 0; i < RF_GPU_VENDORS; i++) {
    struct rf_gpu_use use = sum;
    if (!rf_gpu_in_use(i) || !rf_gpu_vendors[i]->read(r, &use)) continue;
    sum.utilization = plus(sum.utilization, use.utilization);
    sum.memory_bytes = plus(sum.memory_bytes, use.memory_bytes);
  }
  tell(r, &sum);
  rf_reading_set(r, RF_METRIC_GPU_UTILIZATION, sum.utilization);
  rf_reading_set(r, RF_METRIC_GPU_MEMORY, sum.memory_bytes);
}

static void close_gpu(struct rf_reading *r) {
  if (rf_gpu_devices() > 0) return;
  rf_reading_absent(r, RF_ABSENT_GPU, rf_gpu_why() ? rf_gpu_why() : "no GPU driver was loaded by the app");
}

const struct rf_source rf_source_gpu = {.name = "system.gpu", .read = read_gpu, .close = close_gpu};

uint32_t rf_gpu_own(struct rf_own *own) {
  uint32_t threads = 0;
  for (unsigned i = 0; i < RF_GPU_VENDORS; i++)
    if (rf_gpu_vendors[i]->own) threads += rf_gpu_vendors[i]->own(own);
  return threads;
}

void rf_gpu_say_why(const char *reason) {
  const char *none = NULL;
  __atomic_compare_exchange_n(&why, &none, reason, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

const char *rf_gpu_why(void) { return __atomic_load_n(&why, __ATOMIC_ACQUIRE); }
uint32_t rf_gpu_devices(void) { return __atomic_load_n(&devices, __ATOMIC_ACQUIRE); }

void rf_gpu_track_forget(void) {
  table_lock.word = 0;
  devices = 0;
  last_look_ns = 0;
  why = NULL;
}

static double larger(double a, double b) { return b > a ? b : a; }

void rf_gpu_track_add(struct rf_gpu_track *track, double utilization, double memory_bytes, double seconds) {
  track->samples++;
  if (utilization >= 0 && utilization <= 4096) {
    track->utilization_sum += utilization * seconds;
    track->utilization_weight += seconds;
    track->utilization_max = larger(track->utilization_max, utilization);
  }
  if (memory_bytes >= 0 && memory_bytes < 1e18) {
    track->memory_sum += memory_bytes * seconds;
    track->memory_weight += seconds;
    track->memory_max = larger(track->memory_max, memory_bytes);
  }
}

static struct rf_gpu_entry *new_entry(const char *name) {
  rf_ref *root = rf_recording_root(RF_TABLE_GPU);
  struct rf_gpu_entry *entry = root ? rf_table_append(root, RF_TABLE_GPU, sizeof *entry, 8) : NULL;
  if (!entry) return NULL;
  entry->name = rf_recording_string(name, rf_scan_length(name));
  entry->energy_j = entry->power_w = entry->temperature_c = __builtin_nan("");
  rf_table_publish(*root);
  __atomic_add_fetch(&devices, 1, __ATOMIC_RELEASE);
  return entry;
}

bool rf_gpu_track_write(struct rf_gpu_track *track, struct rf_gpu_track *from, const char *name,
                        const char *scope) {
  rf_lock_take(&table_lock);
  if (!track->entry) track->entry = from && from->entry ? from->entry : new_entry(name);
  rf_lock_give(&table_lock);
  struct rf_gpu_entry *entry = track->entry;
  if (!entry) return false;
  if (track->scope != scope) entry->scope = rf_recording_string(scope, rf_scan_length(scope));
  track->scope = scope;
  entry->utilization_sum = track->utilization_sum;
  entry->utilization_weight = track->utilization_weight;
  entry->utilization_max = track->utilization_max;
  entry->memory_sum = track->memory_sum;
  entry->memory_weight = track->memory_weight;
  entry->memory_max = track->memory_max;
  entry->samples = track->samples;
  return true;
}
