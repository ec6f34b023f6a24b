/*
 * Live bytes of allocation sites over time, so that a report can tell what grows steadily from what is merely
 * alive. A site gets a history once it holds a page's worth; the first 64 Ki sites are looked at, 4 Ki of
 * them get a history (2 MB).
 */
#include "arch/arch.h"
#include "base/memory.h"
#include "recording/writer.h"
#include "sample/reading.h"

#define SITES 65536u
#define HISTORIES 4096u
#define WORTH 4096 /* bytes */

static int64_t *live; /* by site number - 1; the scratch of one look */
static uint32_t looks, histories;

static void sum_parts(rf_ref root, uint32_t sites) {
  const struct rf_chunk *chunk = rf_recording_at(root);
  for (; chunk; chunk = rf_recording_at(chunk->next)) {
    const char *entry = (const char *)(chunk + 1);
    uint32_t count = __atomic_load_n(&chunk->count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count; i++, entry += chunk->entry_bytes) {
      const struct rf_site_part *part = (const struct rf_site_part *)entry;
      if (part->site && part->site <= sites)
        live[part->site - 1] += (int64_t)(part->alloc_bytes - part->free_bytes);
    }
  }
}

static void sum_threads(uint32_t sites) {
  const struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_THREAD));
  for (; chunk; chunk = rf_recording_at(chunk->next)) {
    const char *entry = (const char *)(chunk + 1);
    uint32_t count = __atomic_load_n(&chunk->count, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < count; i++, entry += chunk->entry_bytes)
      sum_parts(__atomic_load_n(&((const struct rf_thread_entry *)entry)->site_parts, __ATOMIC_RELAXED),
                sites);
  }
}

/* Every second point goes, and the distance doubles: the history always spans the site's whole life. */
static void thin_out(struct rf_site_history *history) {
  for (uint32_t i = 0; i < RF_HISTORY_POINTS / 2; i++) {
    history->time_s[i] = history->time_s[2 * i];
    history->live_bytes[i] = history->live_bytes[2 * i];
    rf_plain_loop();
  }
  history->every *= 2;
  __atomic_store_n(&history->count, RF_HISTORY_POINTS / 2, __ATOMIC_RELEASE);
}

static struct rf_site_history *new_history(struct rf_site_entry *entry) {
  if (histories >= HISTORIES) return NULL;
  struct rf_site_history *history = rf_recording_alloc(sizeof *history);
  if (!history) return NULL;
  histories++;
  history->every = 1;
  __atomic_store_n(&entry->history, rf_recording_ref(history), __ATOMIC_RELEASE);
  return history;
}

static void look_at(struct rf_site_entry *entry, int64_t bytes, double now_s) {
  struct rf_site_history *history = rf_recording_at(entry->history);
  if (!history && (bytes < WORTH || !(history = new_history(entry)))) return;
  if (looks % history->every) return;
  if (history->count == RF_HISTORY_POINTS) thin_out(history);
  history->time_s[history->count] = (float)now_s;
  history->live_bytes[history->count] = (float)bytes;
  __atomic_store_n(&history->count, history->count + 1, __ATOMIC_RELEASE);
}

static void read_sites(struct rf_reading *r) {
  struct rf_chunk *chunk = rf_recording_at(*rf_recording_root(RF_TABLE_SITE));
  uint32_t sites = 0, number = 0;
  for (const struct rf_chunk *c = chunk; c && sites < SITES; c = rf_recording_at(c->next)) sites += c->count;
  if (sites > SITES) sites = SITES;
  if (!sites || (!live && !(live = rf_pages(SITES * sizeof *live)))) return;
  rf_bytes_zero(live, sites * sizeof *live);
  sum_threads(sites);
  double now_s = (double)(r->now_ns - r->header->start_monotonic_ns) * 1e-9;
  for (; chunk; chunk = rf_recording_at(chunk->next)) {
    char *entry = (char *)(chunk + 1);
    for (uint32_t i = 0; i < chunk->count && number < sites; i++, entry += chunk->entry_bytes)
      look_at((struct rf_site_entry *)entry, live[number++], now_s);
  }
  looks++;
}

static void forget_sites(void) { looks = histories = 0; }

const struct rf_source rf_source_sites = {.name = "heap.leaks", .read = read_sites, .forget = forget_sites};
