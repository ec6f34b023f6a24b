/* See full.h. */
#include "trace/full.h"

#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "arch/arch.h"
#include "base/quiet.h"
#include "base/thread.h"
#include "recording/thread_heap.h"
#include "trace/account.h"
#include "trace/clocks.h"
#include "trace/pace.h"
#include "trace/records.h"
#include "trace/thread_clock.h"

#define PER_CHUNK (RF_RECORD_CHUNK / RF_RECORD_BYTES)

/* What the thread's sums were when the call began. */
struct rf_extra {
  uint64_t alloc_calls, requested_bytes, alloc_bytes, free_bytes;
  int64_t live, outer_high; /* the thread's live bytes at entry; the high-water mark of the function around */
  uint64_t cpu_ns, faults, switches, sent, received, max_rss;
  uint32_t read_blocks, write_blocks; /* they may wrap around */
  uint64_t rss_looks;                 /* of the sampler, so far */
  uint64_t gpu_time, gpu_busy;        /* of the process, so far */
};
_Static_assert(sizeof(struct rf_extra) == 128, "cheap to index");

/* ---- what the clocks cost ---- */

#define PAIRS 16
#define BATCHES 8
#define SYSTEM_CALL 200 /* cycles: no system call is cheaper */

static struct rf_clock_cost clock_costs[4];

void rf_full_record_costs(void) {
  struct rf_header *header = (struct rf_header *)rf_trace_base;
  for (int mode = 0; mode < 4; mode++) header->clock_inside_ps[mode] = clock_costs[mode].inside_ps;
}

/* Of the fastest batch: interruptions only make them longer. */
static struct rf_clock_cost measure_clock(enum rf_clock_mode mode) {
  uint64_t least = UINT64_MAX, inside = 0;
  for (int batch = 0; batch < BATCHES; batch++) {
    uint64_t start = rf_cycles(), sum = 0;
    for (int i = 0; i < PAIRS; i++) {
      uint64_t from = rf_full_read_clock(mode, start), to = rf_full_read_clock(mode, start);
      sum += to > from ? to - from : 0;
    }
    uint64_t spent = rf_cycles() - start;
    if (spent < least) least = spent, inside = sum;
  }
  return (struct rf_clock_cost){(uint32_t)(least / PAIRS), inside * 1000 / PAIRS};
}

struct rf_clock_cost rf_full_clock_cost(enum rf_clock_mode mode) {
  struct rf_clock_cost *cost = &clock_costs[mode];
  if (mode == RF_CLOCK_PERF_COUNTER || cost->cycles || !rf_tls.self->entry) return *cost;
  struct rf_clock_cost found = measure_clock(mode);
  /* Without one, thread_time counts cycles as perf_counter does. */
  bool cheap = mode == RF_CLOCK_THREAD && found.cycles < 2 * SYSTEM_CALL;
  *cost = cheap ? (struct rf_clock_cost){1, 0} : found;
  rf_full_record_costs();
  return *cost;
}

bool rf_full_set(uint32_t id, const struct rf_full *full) {
  static struct rf_full *room;
  static uint32_t left;
  if (!left) {
    long pages = rf_syscall(SYS_mmap, 0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages < 0) return false;
    room = (struct rf_full *)pages;
    left = 65536 / sizeof *room;
  }
  *room = *full;
  uint32_t cycles = rf_full_clock_cost(full->mode).cycles;
  room->clock_cycles = cycles > 1 ? cycles : 0; /* what is next to nothing is not worth an addition a call */
  rf_sites[id].extra = room++;
  left--;
  return true;
}

static inline const struct rf_full *full_of(uint32_t id) { return rf_sites[id].extra; }

uint64_t rf_full_clock(uint32_t id, uint64_t now) {
  const struct rf_full *full = full_of(id);
  return full ? rf_full_read_clock(full->mode, now) : now;
}

static void map_extras(struct rf_chunk_header *chunk) {
  if (!chunk->extras && !rf_quiet()) {
    long pages = rf_syscall(SYS_mmap, 0, PER_CHUNK * sizeof(struct rf_extra), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages > 0) chunk->extras = (void *)pages;
  }
}

/* NULL for records on other stacks than the thread's own, and without memory. */
static inline struct rf_extra *extra_of(struct rf_record *record) {
  if (record->flags & RF_RECORD_FOREIGN) return NULL;
  struct rf_chunk_header *chunk = rf_record_chunk(record);
  if (!chunk->extras) return NULL;
  return (struct rf_extra *)chunk->extras + (record - (struct rf_record *)chunk);
}

/* ---- heap ---- */

/* The mark is reset to what lives now, so that it ends up at this call's own peak; the outer call's is put
 * back at the end. */
static void heap_enter(struct rf_extra *extra) {
  struct rf_thread *thread = rf_tls.self;
  const struct rf_heap_counters *heap = &thread->entry->heap;
  extra->alloc_calls = heap->alloc_calls;
  extra->requested_bytes = heap->requested_bytes;
  extra->alloc_bytes = heap->alloc_bytes;
  extra->free_bytes = heap->free_bytes;
  extra->live = rf_thread_live(thread);
  extra->outer_high = rf_thread_stretch_begin(thread);
}

/* A recursive call's heap is in its outermost one's already. */
static void heap_exit(const struct rf_extra *extra, struct rf_slot *slot, uint64_t weight) {
  struct rf_thread *thread = rf_tls.self;
  const struct rf_heap_counters *heap = &thread->entry->heap;
  int64_t peak = rf_thread_stretch_end(thread, extra->outer_high) - extra->live;
  if (peak > slot->heap_peak_bytes) slot->heap_peak_bytes = peak;
  if (slot->depth > 1) return;
  slot->heap_alloc_calls += weight * (heap->alloc_calls - extra->alloc_calls);
  slot->heap_requested_bytes += weight * (heap->requested_bytes - extra->requested_bytes);
  slot->heap_alloc_bytes += weight * (heap->alloc_bytes - extra->alloc_bytes);
  slot->heap_free_bytes += weight * (heap->free_bytes - extra->free_bytes);
}

/* ---- the kernel's view ---- */

static uint64_t ns_of(const struct timeval *time) {
  return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

static void system_read(struct rf_extra *extra) {
  struct rusage usage;
  const struct rf_thread_entry *entry = rf_tls.self->entry;
  const struct rf_header *header = (const struct rf_header *)rf_trace_base;
  if (rf_syscall(SYS_getrusage, RUSAGE_THREAD, &usage) != 0) return;
  extra->cpu_ns = ns_of(&usage.ru_utime) + ns_of(&usage.ru_stime);
  extra->faults = (uint64_t)(usage.ru_minflt + usage.ru_majflt);
  extra->switches = (uint64_t)(usage.ru_nvcsw + usage.ru_nivcsw);
  extra->read_blocks = (uint32_t)usage.ru_inblock;
  extra->write_blocks = (uint32_t)usage.ru_oublock;
  extra->max_rss = (uint64_t)usage.ru_maxrss;
  extra->sent = entry->sent_bytes;
  extra->received = entry->received_bytes;
  extra->rss_looks = __atomic_load_n(&header->rss_looks, __ATOMIC_ACQUIRE);
  extra->gpu_time = header->gpu_time_ns;
  extra->gpu_busy = header->gpu_busy_ns;
}

/*
 * The highest resident memory while a call ran: where the process's own peak rose meanwhile, it is that one;
 * else what the sampler saw, from its last look before the call on. The process's peak itself is no answer,
 * since it may be from long before (even from before an exec).
 */
static uint64_t peak_rss(const struct rf_extra *begin, const struct rf_extra *end) {
  const struct rf_header *header = (const struct rf_header *)rf_trace_base;
  uint64_t first = begin->rss_looks ? begin->rss_looks - 1 : 0, highest = 0;
  if (end->max_rss > begin->max_rss) return end->max_rss * 1024;
  if (end->rss_looks - first > RF_RSS_LOOKS) first = end->rss_looks - RF_RSS_LOOKS;
  for (uint64_t i = first; i < end->rss_looks; i++)
    if (header->rss_look[i % RF_RSS_LOOKS] > highest) highest = header->rss_look[i % RF_RSS_LOOKS];
  return highest;
}

static void system_exit(const struct rf_extra *begin, struct rf_slot *slot, uint64_t weight) {
  struct rf_extra end = {0};
  system_read(&end);
  uint64_t peak = peak_rss(begin, &end);
  if (peak > slot->peak_rss_bytes) slot->peak_rss_bytes = peak;
  if (slot->depth > 1) return;
  slot->cpu_ns += weight * (end.cpu_ns - begin->cpu_ns);
  slot->faults += weight * (end.faults - begin->faults);
  slot->switches += weight * (end.switches - begin->switches);
  slot->read_bytes += weight * (uint64_t)(end.read_blocks - begin->read_blocks) * 512;
  slot->write_bytes += weight * (uint64_t)(end.write_blocks - begin->write_blocks) * 512;
  slot->sent_bytes += weight * (end.sent - begin->sent);
  slot->received_bytes += weight * (end.received - begin->received);
  slot->gpu_time_ns += weight * (end.gpu_time - begin->gpu_time);
  slot->gpu_busy_ns += weight * (end.gpu_busy - begin->gpu_busy);
}

/* ---- a call ---- */

/* What a full measurement costs goes on the thread's budget, and is stated. */
static inline void spend(struct rf_slot *slot, uint64_t begin, uint64_t end) {
  rf_pace_spend(rf_tls.self, slot, end - begin);
  if (slot) slot->measured_cycles += end - begin;
}

/* What the kernel and the heap say of a call's beginning. Cost: a system call for system.per_function. */
RF_PRESERVE_ALL __attribute__((noinline)) static void enter_measured(struct rf_record *record,
                                                                     const struct rf_full *full) {
  uint64_t begin = rf_cycles();
  if (!(record->flags & RF_RECORD_FOREIGN) && !rf_record_chunk(record)->extras)
    rf_preserved_on_own_stack((uintptr_t)rf_record_chunk(record), 0, 0, map_extras);
  struct rf_extra *extra = extra_of(record);
  if (extra && full->flags & RF_FUNCTION_SYSTEM) system_read(extra);
  if (extra && full->flags & RF_FUNCTION_HEAP) heap_enter(extra);
  spend(record->slot, begin, rf_cycles());
}

RF_PRESERVE_ALL void rf_full_enter(struct rf_record *record) {
  const struct rf_full *full = full_of(record->id);
  record->flags |= RF_RECORD_FULL;
  if (full->flags) enter_measured(record, full);
  if (full->clock_cycles) spend(record->slot, 0, full->clock_cycles);
  record->start = rf_full_read_clock(full->mode, rf_cycles());
}

RF_PRESERVE_ALL __attribute__((noinline)) static void
exit_measured(struct rf_record *record, const struct rf_full *full, uint64_t now) {
  struct rf_extra *extra = extra_of(record);
  if (!extra || !record->slot || record->flags & RF_RECORD_INHERITED) return;
  if (full->flags & RF_FUNCTION_HEAP) heap_exit(extra, record->slot, rf_weight(record->flags));
  if (full->flags & RF_FUNCTION_SYSTEM) system_exit(extra, record->slot, rf_weight(record->flags));
  spend(record->slot, now, rf_cycles());
}

RF_PRESERVE_ALL void rf_full_exit(struct rf_record *record, uint64_t now) {
  const struct rf_full *full = full_of(record->id);
  record->body = rf_full_read_clock(full->mode, now);
  if (full->flags) exit_measured(record, full, now);
}

void rf_full_drop(struct rf_record *record) {
  const struct rf_full *full = full_of(record->id);
  struct rf_extra *extra = full && full->flags & RF_FUNCTION_HEAP ? extra_of(record) : NULL;
  if (extra && rf_tls.self->entry) heap_exit(extra, record->slot, rf_weight(record->flags));
}
