/*
 * Profilers: durations between start and stop, tallied for themselves, so that they can be reset at will;
 * each stop also counts for the block of the profiler's name, which the report shows.
 */
#include <errno.h>

#include "api/blocks.h"
#include "api/statistics.h"
#include "arch/arch.h"
#include "base/memory.h"
#include "recording/threads.h"
#include "recording/writer.h"

struct state {
  struct rf_tally tally;
  uint64_t start;
  struct rf_thread *thread; /* NULL: not started */
  uint32_t id;
};

static struct state *state_of(struct refunc_profiler *profiler) {
  struct state *state = profiler->state;
  if (state) return state;
  state = profiler->name ? rf_calloc(1, sizeof *state) : NULL;
  if (!state) return NULL;
  rf_tally_clear(&state->tally);
  state->id = rf_block_id(profiler->name);
  profiler->state = state;
  return state;
}

int rf_api_profiler_start(struct refunc_profiler *profiler) {
  struct rf_thread *thread = rf_thread_get();
  struct state *state = thread ? state_of(profiler) : NULL;
  if (!state) return -ENOMEM;
  if (state->thread) return -EALREADY;
  rf_block_enter(thread, state->id);
  state->thread = thread;
  state->start = rf_cycles();
  return 0;
}

int rf_api_profiler_stop(struct refunc_profiler *profiler) {
  uint64_t now = rf_cycles();
  struct state *state = profiler->state;
  if (!state || !state->thread) return -EINVAL;
  rf_tally_add(&state->tally, rf_block_duration(now - state->start));
  rf_block_leave(state->thread, state->id, now - state->start);
  state->thread = NULL;
  return 0;
}

int rf_api_profiler_reset(struct refunc_profiler *profiler) {
  struct state *state = profiler->state;
  if (state) rf_tally_clear(&state->tally);
  return 0;
}

int rf_api_profiler_report(struct refunc_profiler *profiler, struct refunc_timing_stats *stats) {
  struct state *state = rf_thread_get() ? state_of(profiler) : NULL;
  if (!state) return -ENOMEM;
  rf_tally_stats(&state->tally, rf_statistics_scale(RF_CLOCK_PERF_COUNTER), stats);
  return 0;
}

void rf_api_profiler_free(struct refunc_profiler *profiler) {
  rf_free(profiler->state);
  profiler->state = NULL;
}
