/* See seal.h. */
#include "unwind/walk.h"

size_t rf_unwind_seal_bytes(size_t depth) {
  return sizeof(struct rf_unwind_seal) + (2 * depth + 2 * RF_SEAL_STEP) * sizeof(struct rf_unwind_read);
}

void rf_unwind_seal_init(struct rf_unwind_seal *seal, size_t bytes) {
  *seal = (struct rf_unwind_seal){
      .room = (uint16_t)((bytes - sizeof *seal) / sizeof *seal->read / RF_SEAL_STEP * RF_SEAL_STEP)};
}

static bool seal_read(struct rf_unwind_seal *seal, const uintptr_t *from, uintptr_t value) {
  if (seal->count == seal->room) return false;
  seal->read[seal->count++] = (struct rf_unwind_read){from, value};
  return true;
}

/* Whether the kept frames are all that the last walk gave out, and one more where it was cut. */
static bool kept_enough(const struct rf_unwind_cache *cache) {
  uint32_t visible = cache->capacity - cache->from - cache->old[cache->from].hidden;
  return !cache->limited || visible > cache->depth;
}

/* The first old frame that had no part in what the last walk gave out: one frame beyond the depth tells that
 * there are more. */
static uint32_t seal_end(const struct rf_unwind_cache *cache) {
  uint32_t end = cache->from + cache->depth + 2 + cache->old[cache->from].hidden;
  return end < cache->capacity ? end : cache->capacity;
}

static bool seal_reads(const struct rf_unwind_cache *cache, struct rf_unwind_seal *seal) {
  uint32_t end = seal_end(cache), read = cache->old[cache->from].first_read,
           reads = end < cache->capacity ? cache->old[end].first_read : cache->reads_capacity;
  for (uint32_t i = cache->from + 1; i < end; i++)
    if (cache->slot[i] != &cache->pc[i] && !seal_read(seal, cache->slot[i], cache->pc[i])) return false;
  for (; read < reads; read++)
    if (!seal_read(seal, cache->reads[read].from, cache->reads[read].value)) return false;
  while (seal->count % RF_SEAL_STEP)
    if (!seal_read(seal, &seal->pc, seal->pc)) return false;
  return true;
}

static void seal_registers(const struct old *old, const struct rf_registers *registers,
                           struct rf_unwind_seal *seal) {
  seal->pc = registers->at[RF_REG_RETURN];
  seal->sp = registers->at[RF_REG_STACK];
  seal->frame = registers->at[RF_REG_FRAME];
  seal->record = registers->at[RF_REG_RECORD];
  seal->frame_lives = old->live & LIVE_FRAME;
  seal->record_lives = old->live & LIVE_RECORD;
  for (int i = 0; i < RF_SAVED_COUNT; i++) {
    seal->saved[i] = registers->at[RF_REG_SAVED + i];
    seal->saved_lives[i] = old->live & LIVE_SAVED << i;
  }
}

bool rf_unwind_seal(const struct rf_unwind_cache *cache, const struct rf_registers *registers,
                    struct rf_unwind_seal *seal) {
  uint32_t from = cache->from;
  seal->epoch = 0;
  seal->count = 0;
  if (from == cache->capacity || cache->pc[from] != registers->at[RF_REG_RETURN] ||
      cache->sp[from] != registers->at[RF_REG_STACK])
    return false;
  const struct old *old = &cache->old[from];
  if (old->live & NO_JOIN || old->exact || !kept_enough(cache)) return false;
  seal_registers(old, registers, seal);
  if (!seal_reads(cache, seal)) return false;
  seal->epoch = cache->epoch;
  return true;
}
