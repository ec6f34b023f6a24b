/*
 * AMD, Intel and other GPUs through the kernel's DRM interface: every open device file of the process tells
 * in its fdinfo which client it is and how long each engine worked for it.
 *
 *   /proc/self/fd/N ──▶ /dev/dri/...?  /proc/self/fdinfo/N: drm-driver, drm-pdev, drm-client-id,
 *                                      drm-engine-NAME: ns, drm-engine-capacity-NAME, drm-memory-REGION: KiB
 *
 * Duplicated descriptors name the same client and count once. A device's utilization is its busiest engine's.
 * Engine times may run backwards: that moment is left out. Power, temperature and energy come from
 * /sys/bus/pci/devices/PDEV/hwmon.
 */
#include <errno.h>

#include "arch/arch.h"
#include "sample/file.h"
#include "sample/gpu.h"

#define DEVICES 8
#define CLIENTS 32
#define ENGINES 8
#define DESCRIPTORS 1024 /* looked at in one pass */
#define PERIOD_NS 1000000000

struct engine {
  char name[24];
  uint64_t busy_ns, capacity;
};

struct client {
  uint64_t id, memory_bytes;
  struct engine engine[ENGINES];
  uint32_t engines, device;
};

struct device {
  char pdev[32], name[64];
  struct rf_gpu_track track;
  double energy_first_j, power_w, temperature_c;
  bool energy_known;
};

static struct {
  struct device device[DEVICES];
  struct client client[2][CLIENTS]; /* this pass and the one before */
  uint32_t devices, clients[2], now;
  int64_t last_ns;
  struct rf_gpu_use use;
  bool known;
} drm;

static void forget_drm(void) {
  drm.devices = drm.clients[0] = drm.clients[1] = 0;
  drm.last_ns = 0;
  drm.known = false;
}

static void copy_word(char *to, size_t size, struct rf_scan word) {
  struct rf_note note = rf_note_in(to, size);
  rf_note_add_scan(&note, word);
}

static struct engine *engine_of(struct client *client, struct rf_scan name) {
  for (uint32_t i = 0; i < client->engines; i++)
    if (rf_scan_equals(name, client->engine[i].name)) return &client->engine[i];
  if (client->engines == ENGINES) return NULL;
  struct engine *engine = &client->engine[client->engines++];
  copy_word(engine->name, sizeof engine->name, name);
  engine->busy_ns = 0;
  engine->capacity = 1;
  return engine;
}

static uint32_t device_of(struct rf_scan pdev, struct rf_scan driver) {
  for (uint32_t i = 0; i < drm.devices; i++)
    if (rf_scan_equals(pdev, drm.device[i].pdev)) return i;
  if (drm.devices == DEVICES) return DEVICES;
  struct device *device = &drm.device[drm.devices];
  copy_word(device->pdev, sizeof device->pdev, pdev);
  struct rf_note name = rf_note_in(device->name, sizeof device->name);
  rf_note_add_scan(&name, driver);
  if (pdev.at < pdev.end) rf_note_add(&name, " "), rf_note_add_scan(&name, pdev);
  rf_bytes_zero(&device->track, sizeof device->track);
  device->energy_known = false;
  device->power_w = device->temperature_c = __builtin_nan("");
  return drm.devices++;
}

/* Memory regions: what is resident counts where the driver tells it, else what is allocated. */
struct memory {
  uint64_t allocated, resident;
  bool tells_resident;
};

static uint64_t sized(struct rf_scan value) {
  struct rf_scan unit;
  uint64_t number;
  if (!rf_scan_number(&value, &number) || number >> 40) return 0;
  if (!rf_scan_word(&value, &unit)) return number;
  if (rf_scan_equals(unit, "KiB")) return number << 10;
  return rf_scan_equals(unit, "MiB") ? number << 20 : number;
}

static void parse_engine(struct client *client, struct rf_scan key, struct rf_scan value) {
  bool capacity = rf_scan_prefix(&key, "capacity-");
  uint64_t number;
  struct engine *engine = rf_scan_number(&value, &number) ? engine_of(client, key) : NULL;
  if (!engine) return;
  if (!capacity)
    engine->busy_ns = number;
  else if (number > 0 && number < 1024)
    engine->capacity = number;
}

static void parse_line(struct rf_scan line, struct client *client, struct rf_scan *pdev,
                       struct rf_scan *driver, struct memory *memory) {
  struct rf_scan key;
  if (!rf_scan_prefix(&line, "drm-") || !rf_scan_until(&line, ':', &key)) return;
  struct rf_scan value = line, word;
  rf_scan_word(&line, &word);
  if (rf_scan_equals(key, "driver"))
    *driver = word;
  else if (rf_scan_equals(key, "pdev"))
    *pdev = word;
  else if (rf_scan_equals(key, "client-id"))
    rf_scan_number(&value, &client->id);
  else if (rf_scan_prefix(&key, "engine-"))
    parse_engine(client, key, value);
  else if (rf_scan_prefix(&key, "memory-"))
    memory->allocated += sized(value);
  else if (rf_scan_prefix(&key, "resident-"))
    memory->resident += sized(value), memory->tells_resident = true;
}

static bool counted(const struct client *client) {
  for (uint32_t i = 0; i < drm.clients[drm.now]; i++) {
    const struct client *other = &drm.client[drm.now][i];
    if (other->id == client->id && other->device == client->device) return true;
  }
  return false;
}

static void parse_client(struct rf_scan text) {
  if (drm.clients[drm.now] == CLIENTS) return;
  struct client *client = &drm.client[drm.now][drm.clients[drm.now]];
  struct rf_scan line, pdev = {0}, driver = {0};
  struct memory memory = {0};
  client->id = UINT64_MAX;
  client->engines = 0;
  while (rf_scan_line(&text, &line)) parse_line(line, client, &pdev, &driver, &memory);
  if (client->id == UINT64_MAX) return;
  client->device = device_of(pdev, driver);
  client->memory_bytes = memory.tells_resident ? memory.resident : memory.allocated;
  if (client->device < DEVICES && !counted(client)) drm.clients[drm.now]++;
}

struct pass {
  struct rf_reading *reading;
  uint32_t looked;
};

static void descriptor_path(struct rf_reading *r, const char *folder, const char *name) {
  struct rf_note path = rf_note_in(r->path, sizeof r->path);
  rf_note_add(&path, r->proc_root);
  rf_note_add(&path, folder);
  rf_note_add(&path, name);
}

static bool look_at_descriptor(const char *name, void *user) {
  struct pass *pass = user;
  struct rf_reading *r = pass->reading;
  char target[64];
  struct rf_scan text;
  descriptor_path(r, "/self/fd/", name);
  long length = rf_file_link(r->path, target, sizeof target);
  struct rf_scan where = {target, target + (length > 0 ? length : 0)};
  if (rf_scan_prefix(&where, "/dev/dri/")) {
    descriptor_path(r, "/self/fdinfo/", name);
    if (rf_reading_path(r, true, &text) == 0) parse_client(text);
  }
  return ++pass->looked < DESCRIPTORS;
}

static const struct client *client_before(const struct client *client) {
  for (uint32_t i = 0; i < drm.clients[!drm.now]; i++) {
    const struct client *before = &drm.client[!drm.now][i];
    if (before->id == client->id && before->device == client->device) return before;
  }
  return NULL;
}

/* Adds what the client's engines did since the pass before to the device's; false where a counter ran
 * backwards. */
static bool add_busy(struct client *sum, const struct client *client, const struct client *before) {
  bool sane = true;
  for (uint32_t i = 0; i < client->engines; i++) {
    const struct engine *engine = &client->engine[i];
    struct rf_scan name = {engine->name, engine->name + rf_scan_length(engine->name)};
    uint64_t earlier = 0;
    for (uint32_t k = 0; before && k < before->engines; k++)
      if (rf_scan_equals(name, before->engine[k].name)) earlier = before->engine[k].busy_ns;
    struct engine *total = engine_of(sum, name);
    if (total) {
      total->capacity = engine->capacity;
      total->busy_ns += rf_less(engine->busy_ns, earlier);
    }
    sane &= engine->busy_ns >= earlier;
  }
  return sane;
}

/* The use of one device between two passes, from all its clients. */
static struct rf_gpu_use device_use(uint32_t device, double seconds) {
  struct client sum;
  sum.engines = 0;
  struct rf_gpu_use use = {0, 0};
  bool sane = seconds > 0;
  for (uint32_t i = 0; i < drm.clients[drm.now]; i++) {
    const struct client *client = &drm.client[drm.now][i];
    if (client->device != device) continue;
    use.memory_bytes += (double)client->memory_bytes;
    sane &= add_busy(&sum, client, client_before(client));
  }
  for (uint32_t i = 0; i < sum.engines; i++) {
    double ratio = (double)sum.engine[i].busy_ns / 1e9 / seconds / (double)sum.engine[i].capacity;
    if (ratio > use.utilization) use.utilization = ratio;
  }
  if (!sane || use.utilization > 1.5) use.utilization = __builtin_nan("");
  return use;
}

static void hardware_path(struct rf_reading *r, const struct device *device, const char *monitor,
                          const char *file) {
  struct rf_note path = rf_note_in(r->path, sizeof r->path);
  rf_note_add(&path, r->sys_root);
  rf_note_add(&path, "/bus/pci/devices/");
  rf_note_add(&path, device->pdev);
  rf_note_add(&path, "/hwmon");
  rf_note_add(&path, monitor);
  rf_note_add(&path, file);
}

struct monitor {
  struct rf_reading *reading;
  struct device *device;
};

/* micro-watts, micro-joules, thousandths of a degree; the first monitor that has them. */
static bool look_at_monitor(const char *name, void *user) {
  struct monitor *monitor = user;
  struct rf_reading *r = monitor->reading;
  struct device *d = monitor->device;
  char folder[32];
  struct rf_note text = rf_note_in(folder, sizeof folder);
  uint64_t value;
  rf_note_add(&text, "/");
  rf_note_add(&text, name);
  hardware_path(r, d, folder, "/temp1_input");
  if (rf_file_number(r->path, &value) && value < 1000000) d->temperature_c = (double)value / 1000;
  hardware_path(r, d, folder, "/power1_average");
  if (rf_file_number(r->path, &value) && value < 10000000000ull) d->power_w = (double)value / 1e6;
  hardware_path(r, d, folder, "/energy1_input");
  if (rf_file_number(r->path, &value)) {
    double joules = (double)value / 1e6;
    if (!d->energy_known) d->energy_first_j = joules;
    d->energy_known = true;
    if (d->track.entry && joules >= d->energy_first_j) d->track.entry->energy_j = joules - d->energy_first_j;
  }
  return false;
}

static void write_device(struct rf_reading *r, struct device *device) {
  struct monitor monitor = {r, device};
  char folder[256];
  if (!rf_gpu_track_write(&device->track, NULL, device->name, "process")) return;
  hardware_path(r, device, "", "");
  struct rf_note copy = rf_note_in(folder, sizeof folder);
  rf_note_add(&copy, r->path);
  rf_file_folder(folder, look_at_monitor, &monitor);
  device->track.entry->power_w = device->power_w;
  device->track.entry->temperature_c = device->temperature_c;
}

static long one_pass(struct rf_reading *r) {
  struct pass pass = {.reading = r};
  char folder[256];
  struct rf_note path = rf_note_in(folder, sizeof folder);
  rf_note_add(&path, r->proc_root);
  rf_note_add(&path, "/self/fd");
  drm.now = !drm.now;
  drm.clients[drm.now] = 0;
  return rf_file_folder(folder, look_at_descriptor, &pass);
}

static void account(struct rf_reading *r) {
  double seconds = (double)(r->now_ns - drm.last_ns) / 1e9;
  drm.use = (struct rf_gpu_use){0, 0};
  for (uint32_t i = 0; i < drm.devices; i++) {
    struct rf_gpu_use use = device_use(i, drm.last_ns ? seconds : 0);
    if (drm.last_ns) rf_gpu_track_add(&drm.device[i].track, use.utilization, use.memory_bytes, seconds);
    write_device(r, &drm.device[i]);
    drm.use.utilization += use.utilization;
    drm.use.memory_bytes += use.memory_bytes;
  }
  drm.known = drm.devices > 0;
  drm.last_ns = r->now_ns;
}

/* Once a second; what a pass found holds until the next one. */
static bool read_drm(struct rf_reading *r, struct rf_gpu_use *use) {
  bool due = r->now_ns - drm.last_ns >= PERIOD_NS || drm.last_ns == 0;
  if (due) {
    long error = one_pass(r);
    if (error == 0) account(r);
    if (error < 0)
      rf_gpu_say_why("/proc/self/fdinfo can't be read");
    else if (drm.devices == 0)
      rf_gpu_say_why("no DRM device that the app has open tells its use");
  }
  *use = drm.use;
  return drm.known;
}

static const char *const libraries[] = {"libamdhip64",  "libze_loader", "libdrm_amdgpu",
                                        "libdrm_intel", "libdrm.so",    NULL};

const struct rf_gpu_vendor rf_gpu_drm = {
    .name = "drm", .libraries = libraries, .forget = forget_drm, .read = read_drm};
