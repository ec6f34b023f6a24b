/*
 * Monitors: what one block took, on the thread that ran it. At begin the thread's sums are remembered, at end
 * their growth is the result; the heap's peak comes from a stretch of its high-water mark
 * (recording/thread_heap.h), as for functions with a heap of their own. The state lies in the caller's struct
 * refunc_monitor; nothing is allocated.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "api/api.h"
#include "api/blocks.h"
#include "api/facts.h"
#include "api/memory.h"
#include "api/statistics.h"
#include "api/summary.h"
#include "arch/arch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/quiet.h"
#include "heap/counters.h"
#include "recording/thread_heap.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "validate/checker.h"
#include "validate/validators.h"

#define MARK 0x6d6f6e69746f7200u /* a monitor that was begun */

struct usage {
  uint64_t cpu_ns, faults, switches, read_bytes, write_bytes, sent, received, gpu_time, gpu_busy;
};

struct state {
  size_t size; /* the app's */
  uint64_t mark;
  struct refunc_config config;
  struct rf_thread *thread;
  uint32_t id;
  char name[64];
  uint64_t start;
  struct rf_heap_counters *heap; /* NULL: not measured */
  uint64_t alloc_calls, requested_bytes, alloc_bytes, free_bytes, rss_bytes;
  int64_t live, outer;
  struct usage usage;
  uint64_t validations, violations;
  char violated[112]; /* "validator: parameter: what it said" */
};
_Static_assert(sizeof(struct state) <= sizeof(struct refunc_monitor), "the app's room for it");

static struct state *state_of(struct refunc_monitor *monitor) { return (struct state *)monitor; }

/* ---- what the thread has taken so far ---- */

static uint64_t ns_of(const struct timeval *time) {
  return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

static void read_usage(const struct rf_thread *thread, struct usage *usage) {
  struct rusage now;
  const struct rf_header *header = rf_recording_header();
  *usage = (struct usage){.sent = thread->entry->sent_bytes,
                          .received = thread->entry->received_bytes,
                          .gpu_time = header->gpu_time_ns,
                          .gpu_busy = header->gpu_busy_ns};
  if (rf_quiet() || rf_syscall(SYS_getrusage, RUSAGE_THREAD, &now) != 0) return;
  usage->cpu_ns = ns_of(&now.ru_utime) + ns_of(&now.ru_stime);
  usage->faults = (uint64_t)(now.ru_minflt + now.ru_majflt);
  usage->switches = (uint64_t)(now.ru_nvcsw + now.ru_nivcsw);
  usage->read_bytes = (uint64_t)now.ru_inblock * 512;
  usage->write_bytes = (uint64_t)now.ru_oublock * 512;
}

static void begin_heap(struct state *state) {
  const struct rf_heap_counters *heap = state->heap = &state->thread->entry->heap;
  state->alloc_calls = heap->alloc_calls;
  state->requested_bytes = heap->requested_bytes;
  state->alloc_bytes = heap->alloc_bytes;
  state->free_bytes = heap->free_bytes;
  state->live = rf_thread_live(state->thread);
  state->outer = rf_thread_stretch_begin(state->thread);
}

static void end_heap(const struct state *state, struct refunc_result *result) {
  const struct rf_heap_counters *heap = state->heap;
  result->peak_bytes = rf_thread_stretch_end(state->thread, state->outer) - state->live;
  result->alloc_calls = heap->alloc_calls - state->alloc_calls;
  result->requested_bytes = heap->requested_bytes - state->requested_bytes;
  result->alloc_bytes = heap->alloc_bytes - state->alloc_bytes;
  result->free_bytes = heap->free_bytes - state->free_bytes;
  result->net_bytes = (int64_t)(result->alloc_bytes - result->free_bytes);
}

static void end_memory(const struct state *state, struct refunc_result *result) {
  struct refunc_memory memory = {.size = sizeof memory};
  if (state->heap) end_heap(state, result);
  if (rf_api_get_memory(&memory) != 0) return;
  result->rss_begin_bytes = state->rss_bytes;
  result->rss_end_bytes = memory.rss_bytes;
  result->peak_rss_bytes = memory.peak_rss_bytes;
}

static void end_gpu(const struct usage *begin, const struct usage *end, struct refunc_result *result) {
  if (end->gpu_time <= begin->gpu_time) return; /* the sampler did not look meanwhile, or saw none */
  result->gpu_ratio = (double)(end->gpu_busy - begin->gpu_busy) / (double)(end->gpu_time - begin->gpu_time);
  result->gpu_memory_bytes = rf_recording_header()->gpu_memory_bytes;
}

static void end_system(const struct state *state, struct refunc_result *result) {
  struct usage end;
  read_usage(state->thread, &end);
  const struct usage *begin = &state->usage;
  end_gpu(begin, &end, result);
  if (!end.cpu_ns) return; /* could not be asked */
  result->cpu_s = (double)(end.cpu_ns - begin->cpu_ns) * 1e-9;
  result->faults = end.faults - begin->faults;
  result->switches = end.switches - begin->switches;
  result->read_bytes = end.read_bytes - begin->read_bytes;
  result->write_bytes = end.write_bytes - begin->write_bytes;
  if (strcmp(rf_api_option("system.network"), "off") == 0) return;
  result->sent_bytes = end.sent - begin->sent;
  result->received_bytes = end.received - begin->received;
}

/* ---- refunc.h ---- */

static void copy_text(char *to, size_t room, const char *text) {
  size_t length = strlen(text);
  if (length >= room) length = room - 1;
  memcpy(to, text, length);
  to[length] = 0;
}

int rf_api_monitor_begin(struct refunc_monitor *monitor, const char *name,
                         const struct refunc_config *config) {
  static const struct refunc_config usual = REFUNC_CONFIG_DEFAULT;
  struct rf_thread *thread = rf_thread_get();
  struct state *state = state_of(monitor);
  state->mark = 0;
  if (!thread || !name || monitor->size < sizeof *state) return thread ? -EINVAL : -ENOSYS;
  *state = (struct state){.size = monitor->size, .config = usual, .thread = thread, .id = rf_block_id(name)};
  if (config) memcpy(&state->config, config, config->size < sizeof usual ? config->size : sizeof usual);
  copy_text(state->name, sizeof state->name, name);
  if (state->config.memory) state->rss_bytes = rf_memory_resident();
  if (state->config.memory && rf_heap_thread()) begin_heap(state);
  if (state->config.system) read_usage(thread, &state->usage);
  rf_block_enter(thread, state->id);
  state->mark = MARK;
  state->start = rf_cycles();
  return 0;
}

static void unknown(struct refunc_result *result) {
  memset(result, 0xff, sizeof *result); /* REFUNC_UNKNOWN */
  result->wall_s = result->cpu_s = result->cpu_ratio = result->gpu_ratio = NAN;
  result->net_bytes = result->peak_bytes = INT64_MIN;
  result->validations = result->violations = 0;
  result->first_violation[0] = 0;
}

/* Begun on another thread: only the time is known then. */
static void measure(const struct state *state, uint64_t cycles, struct refunc_result *result) {
  struct rf_tally_scale scale = rf_statistics_scale(RF_CLOCK_PERF_COUNTER);
  bool here = rf_thread_get() == state->thread;
  unknown(result);
  copy_text(result->name, sizeof result->name, state->name);
  if (state->config.timing) result->wall_s = (double)rf_block_duration(cycles) * scale.unit_s;
  if (state->config.system && here) end_system(state, result);
  if (state->config.system && result->cpu_s >= 0 && cycles)
    result->cpu_ratio = result->cpu_s / ((double)cycles * scale.unit_s);
  if (state->config.memory && here) end_memory(state, result);
  result->validations = state->validations;
  result->violations = state->violations;
  copy_text(result->first_violation, sizeof result->first_violation, state->violated);
}

/* message: RF_MESSAGE_BYTES for what it says. */
static bool shown_bad(const char *validator, const struct refunc_value *value, char *message) {
  char error[200];
  const struct rf_validator_slot *slot = rf_validator_find(validator, error, sizeof error);
  struct rf_validator_value shown = {.size = sizeof shown};
  rf_validator_function *function = slot ? __atomic_load_n(&slot->function, __ATOMIC_ACQUIRE) : NULL;
  memcpy(&shown, value, value->size < sizeof shown ? value->size : sizeof shown);
  shown.size = sizeof shown;
  shown.message = message;
  shown.message_bytes = RF_MESSAGE_BYTES;
  return function && function(&shown, slot->user) != 0;
}

static void append(char *to, size_t room, const char *text) {
  size_t length = strlen(to);
  if (!text || !*text) return;
  copy_text(to + length, room - length, length ? ": " : "");
  length = strlen(to);
  copy_text(to + length, room - length, text);
}

int rf_api_monitor_validate(struct refunc_monitor *monitor, const char *validator,
                            const struct refunc_value *value) {
  struct state *state = state_of(monitor);
  char message[RF_MESSAGE_BYTES] = "";
  if (state->mark != MARK || !validator || !value) return 0;
  bool bad = shown_bad(validator, value, message);
  state->validations++;
  if (!bad) return 0;
  if (!state->violations++) {
    state->violated[0] = 0;
    append(state->violated, sizeof state->violated, validator);
    append(state->violated, sizeof state->violated, value->parameter);
    append(state->violated, sizeof state->violated, message);
  }
  if (state->config.abort_on_violation) rf_violation_end_process();
  return 1;
}

int rf_api_register_validator(const char *name, refunc_validator *function, void *user) {
  _Static_assert(sizeof(struct refunc_value) == sizeof(struct rf_validator_value),
                 "the same, as the app and as rules see it");
  _Static_assert(sizeof(struct refunc_violation) == sizeof(struct rf_violation_info), "the same, too");
  if (!name || !*name) return -EINVAL;
  return rf_validator_register(name, (rf_validator_function *)function, user) ? 0 : -ENOMEM;
}

int rf_api_monitor_end(struct refunc_monitor *monitor, struct refunc_result *result) {
  uint64_t cycles = rf_cycles();
  struct state *state = state_of(monitor);
  struct refunc_result all;
  if (state->mark != MARK) return -EINVAL;
  state->mark = 0;
  cycles -= state->start;
  rf_block_leave(state->thread, state->id, cycles);
  measure(state, cycles, &all);
  if (state->config.print_results) rf_summary_print(&all);
  if (result) rf_api_fill(result, &all, sizeof all);
  return 0;
}
