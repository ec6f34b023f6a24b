/*
 * See schedule.h. A source that is due is read; its cost in CPU time is measured, and a source that would
 * take more than a thousandth of a core at its period is read less often: /proc/stat of a machine with
 * hundreds of cores, the io of a process with thousands of threads.
 */
#include "sample/schedule.h"

#include <unistd.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "recording/writer.h"
#include "sample/alert.h"
#include "sample/gpu.h"
#include "sample/timeline.h"

#define COST_LIMIT 1000  /* a source's period is at least this many times its cost */
#define LEAST_NS 1000000 /* ticks closer together than this are none */

enum group { CPU, MEMORY, DISK, NETWORK, GPU, ALWAYS };

static const struct {
  const struct rf_source *source;
  enum group group;
} table[] = {
    {&rf_source_cpu, CPU},         {&rf_source_machine, CPU},    {&rf_source_threads, ALWAYS},
    {&rf_source_tasks, CPU},       {&rf_source_throttling, CPU}, {&rf_source_memory, MEMORY},
    {&rf_source_peak, MEMORY},     {&rf_source_limit, MEMORY},   {&rf_source_disk, DISK},
    {&rf_source_network, NETWORK}, {&rf_source_heap, ALWAYS},    {&rf_source_sites, ALWAYS},
    {&rf_source_gpu, GPU},
};
#define SOURCES (sizeof table / sizeof *table)

struct due {
  bool used, opened;
  int64_t last_ns, next_ns;
  int64_t cost_ns; /* smoothed */
};

static struct {
  struct rf_reading reading;
  struct due due[SOURCES];
  int64_t last_ns; /* of the tick before */
} now;

static struct rf_system_entry *system_entry(void) {
  rf_ref *root = rf_recording_root(RF_TABLE_SYSTEM);
  struct rf_chunk *chunk = rf_recording_at(*root);
  if (chunk) return (struct rf_system_entry *)(chunk + 1);
  struct rf_system_entry *entry = rf_table_append(root, RF_TABLE_SYSTEM, sizeof *entry, 1);
  if (!entry) return NULL;
  entry->missing = ~0ull;
  rf_table_publish(*root);
  return entry;
}

static void choose_sources(const struct rf_sampler_plan *plan) {
  const bool on[] = {[CPU] = plan->cpu,         [MEMORY] = plan->memory,     [DISK] = plan->disk,
                     [NETWORK] = plan->network, [GPU] = plan->gpu != RF_OFF, [ALWAYS] = true};
  static const enum rf_absence places[] = {[CPU] = RF_ABSENT_CPU,
                                           [MEMORY] = RF_ABSENT_MEMORY,
                                           [DISK] = RF_ABSENT_DISK,
                                           [NETWORK] = RF_ABSENT_NETWORK,
                                           [GPU] = RF_ABSENT_GPU};
  static const char *const reasons[] = {[CPU] = "system.cpu is off",
                                        [MEMORY] = "system.memory is off",
                                        [DISK] = "system.disk is off",
                                        [NETWORK] = "system.network is off",
                                        [GPU] = "system.gpu is off"};
  for (unsigned i = 0; i < SOURCES; i++) now.due[i].used = plan->system && on[table[i].group];
  if (!plan->system) rf_schedule_absent(RF_ABSENT_SYSTEM, "system.enabled is off");
  for (int g = CPU; g <= GPU && plan->system; g++)
    if (!on[g]) rf_schedule_absent(places[g], reasons[g]);
}

bool rf_schedule_prepare(const struct rf_sampler_plan *plan) {
  struct rf_reading *r = &now.reading;
  r->header = rf_recording_header();
  if (!r->header || !(r->totals = system_entry())) return false;
  r->proc_root = plan->proc_root ? plan->proc_root : "/proc";
  r->sys_root = plan->sys_root ? plan->sys_root : "/sys";
  r->whole_life = r->header->is_root;
  r->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
  r->totals->interval_s = (double)plan->interval_ns / 1e9;
  rf_alert_set(plan->rss_alert_bytes);
  choose_sources(plan);
  return true;
}

/* Refunc's own use, before anything of this tick is read. */
static void measure_own(void) {
  struct rf_reading *r = &now.reading;
  struct rf_own gpu;
  rf_bytes_zero(&gpu, sizeof gpu);
  if (r->own_thread) rf_own_measure(&r->mine);
  r->own_threads = (r->own_thread ? 1 : 0) + rf_gpu_own(&gpu);
  r->own = r->past;
  rf_own_add(&r->own, &r->mine);
  rf_own_add(&r->own, &gpu);
  __atomic_store_n(&r->header->self_cpu_ns, r->own.cpu_ns, __ATOMIC_RELAXED);
}

static void begin_tick(bool own_thread) {
  struct rf_reading *r = &now.reading;
  r->own_thread = own_thread;
  r->now_ns = rf_monotonic_ns();
  for (int m = 0; m < RF_METRICS; m++) r->value[m] = __builtin_nan("");
  measure_own();
}

/* cpu_ns: this thread's CPU time before; returns that after. */
static int64_t read_source(unsigned i, int64_t cpu_ns) {
  struct due *due = &now.due[i];
  struct rf_reading *r = &now.reading;
  r->span_s = (double)(r->now_ns - due->last_ns) / 1e9;
  table[i].source->read(r);
  int64_t after_ns = rf_thread_cpu_ns(), cost = after_ns - cpu_ns;
  due->cost_ns = due->cost_ns ? (due->cost_ns * 3 + cost) / 4 : cost;
  int64_t least = due->cost_ns * COST_LIMIT;
  due->last_ns = r->now_ns;
  due->next_ns = r->now_ns + (table[i].source->period_ns > least ? table[i].source->period_ns : least);
  return after_ns;
}

void rf_schedule_open(bool own_thread) {
  struct rf_reading *r = &now.reading;
  rf_bytes_zero(r->kept, sizeof r->kept); /* another thread's */
  begin_tick(own_thread);
  now.last_ns = r->now_ns;
  for (unsigned i = 0; i < SOURCES; i++) {
    struct due *due = &now.due[i];
    if (!due->used) continue;
    due->last_ns = r->now_ns;
    due->next_ns = r->now_ns + table[i].source->period_ns;
    if (!due->opened && table[i].source->open && !table[i].source->open(r)) due->used = false;
    due->opened = true;
  }
}

/* A source whose period ends within half a tick is read now: ticks never come exactly on time. */
static void tick(int64_t slack_ns) {
  struct rf_reading *r = &now.reading;
  int64_t cpu_ns = rf_thread_cpu_ns();
  for (unsigned i = 0; i < SOURCES; i++)
    if (now.due[i].used && now.due[i].next_ns <= r->now_ns + slack_ns) cpu_ns = read_source(i, cpu_ns);
  if (r->now_ns - now.last_ns < LEAST_NS) return;
  rf_timeline_add(r, now.last_ns);
  now.last_ns = r->now_ns;
}

static bool sampling(void) {
  bool any = false;
  for (unsigned i = 0; i < SOURCES; i++) any |= now.due[i].used;
  return any;
}

void rf_schedule_tick(void) {
  begin_tick(true);
  __atomic_store_n(&now.reading.header->last_write_monotonic_ns, now.reading.now_ns, __ATOMIC_RELAXED);
  if (sampling()) tick((int64_t)(now.reading.totals->interval_s * 5e8));
}

void rf_schedule_close(bool own_thread, bool ending) {
  struct rf_reading *r = &now.reading;
  if (!r->totals) return;
  begin_tick(own_thread);
  if (sampling()) tick(INT64_MAX / 2);
  for (unsigned i = 0; ending && i < SOURCES; i++)
    if (now.due[i].used && table[i].source->close) table[i].source->close(r);
  measure_own();
  if (!own_thread) return;
  rf_own_add(&r->past, &r->mine);
  rf_bytes_zero(&r->mine, sizeof r->mine);
}

void rf_schedule_absent(enum rf_absence what, const char *reason) {
  if (now.reading.header) rf_reading_absent(&now.reading, what, reason);
}

void rf_schedule_failed(enum rf_absence what, const char *file, long error) {
  if (now.reading.header) rf_reading_failed(&now.reading, what, file, error);
}

/* "pid (name) S ...": field 3 is the first thread's state, field 20 counts the threads, an ended first one
 * included. */
bool rf_schedule_alone(void) {
  struct rf_reading *r = &now.reading;
  struct rf_scan text, word, skipped;
  uint64_t threads = 0;
  if (rf_reading_file(r, r->proc_root, "/self/stat", false, &text) < 0) return false;
  while (rf_scan_until(&text, ')', &skipped)) {
  }
  if (!rf_scan_word(&text, &word)) return false;
  bool first_ended = rf_scan_equals(word, "Z") || rf_scan_equals(word, "X");
  for (int i = 0; i < 16; i++) rf_scan_word(&text, &word);
  return first_ended && rf_scan_number(&text, &threads) && threads <= 1 + r->own_threads;
}

/* The reading is 20 KB: cleared piece by piece, the buffers left as they are. */
void rf_schedule_forget(void) {
  struct rf_reading *r = &now.reading;
  rf_bytes_zero(now.due, sizeof now.due);
  for (unsigned i = 0; i < SOURCES; i++) {
    if (table[i].source->forget) table[i].source->forget();
  }
  r->header = NULL;
  r->totals = NULL;
  rf_bytes_zero(&r->past, sizeof r->past);
  rf_bytes_zero(&r->mine, sizeof r->mine);
  r->complained = 0;
  r->rss_bytes = 0;
  rf_timeline_forget();
  rf_alert_forget();
}
