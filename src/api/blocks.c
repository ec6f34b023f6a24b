/*
 * Named blocks. A block has an id among the timed functions and a slot on each thread that runs it, so that
 * everything behind (the recording, merging, reports, statistics) treats it like a function that is timed at
 * every call. It is no function, though: it leaves no record of the call, so its time stays part of the self
 * time of the function around it, and its own self time is not known.
 *
 *   REFUNC_TIMER("x") ─ static site ─▶ id (first time: by name) ─▶ slot of this thread ─▶ entered, depth, clock
 *   its end           ─ clock ───────▶ duration into the slot
 *
 * Names are found without locks in a table that only grows. Nothing here blocks but the making of a new name.
 */
#include "api/blocks.h"

#include <stdatomic.h>
#include <string.h>

#include "api/api.h"
#include "arch/arch.h"
#include "base/memory.h"
#include "recording/threads.h"
#include "recording/walk.h"
#include "trace/call.h"
#include "trace/traced.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define NAMES (1u << 14) /* of them half are used */
#define MOST_TRIES 128u

/* id is written last: 0 none yet, else id + 1. */
struct name {
  const char *_Atomic text;
  _Atomic uint32_t id;
};

static struct name names[NAMES];
static _Atomic uint32_t name_count;

/* What the two clock reads and the call between them take, in cycles, less what the reader takes off every
 * duration. */
static int64_t correction;
static _Atomic uint32_t measured;

/* ---- what measuring costs ---- */

__attribute__((noinline)) static void stamp(uint64_t *start) { *start = rf_cycles(); }

static uint64_t empty_block(void) {
  void (*volatile begin)(uint64_t *) = stamp;
  uint64_t best = UINT64_MAX, start = 0, end = 0;
  for (int i = 0; i < 256; i++) {
    begin(&start);
    begin(&end);
    if (end - start < best) best = end - start;
  }
  return best;
}

static void measure(void) {
  if (measured) return;
  correction = (int64_t)rf_recording_header()->probe_inside_cycles - (int64_t)empty_block();
  measured = 1;
}

/* ---- names ---- */

static uint32_t hash_of(const char *text) {
  uint32_t hash = 0x811c9dc5u;
  for (; *text; text++) hash = (hash ^ (unsigned char)*text) * 0x01000193u;
  return hash;
}

/* NULL: the place went to another name meanwhile. */
static struct name *claim(struct name *place, const char *text) {
  const char *none = NULL;
  const char *copy = name_count < NAMES / 2 ? rf_strdup(text) : NULL;
  if (copy && atomic_compare_exchange_strong(&place->text, &none, copy)) {
    name_count++;
    return place;
  }
  rf_free((void *)copy);
  return none && strcmp(none, text) == 0 ? place : NULL; /* none: who was faster */
}

static struct name *find(const char *text) {
  uint32_t hash = hash_of(text);
  for (uint32_t i = 0; i < MOST_TRIES; i++) {
    struct name *place = &names[(hash + i) % NAMES];
    const char *known = place->text;
    if (known && strcmp(known, text) != 0) continue;
    if (known) return place;
    if ((place = claim(place, text))) return place;
    if (name_count >= NAMES / 2) return NULL;
  }
  return NULL;
}

/* rf_traced_add_block answers the id that a name has already, so that it does not matter who comes first. */
static uint32_t make_id(struct name *place) {
  measure();
  uint32_t id = rf_traced_add_block(place->text);
  if (id != RF_NO_BLOCK) place->id = id + 1;
  return id;
}

uint32_t rf_block_id(const char *name) {
  if (!name || !rf_recording_header()) return RF_NO_BLOCK;
  struct name *place = find(name);
  if (!place) {
    __atomic_fetch_add(&rf_recording_header()->dropped_functions, 1, __ATOMIC_RELAXED);
    return RF_NO_BLOCK;
  }
  uint32_t id = place->id;
  return LIKELY(id) ? id - 1 : make_id(place);
}

/* ---- begin and end ---- */

uint64_t rf_block_duration(uint64_t cycles) {
  int64_t duration = (int64_t)cycles + correction;
  return duration > 0 ? (uint64_t)duration : 0;
}

struct rf_slot *rf_block_enter(struct rf_thread *thread, uint32_t id) {
  struct rf_slot *slot = rf_calls_slot(thread, id);
  if (!slot) return NULL;
  slot->entered++;
  slot->depth++;
  return slot;
}

/* Begun on another thread: it is open there no more. In a forked child that thread's state is wiped, and
 * nothing is open. */
static void close_elsewhere(struct rf_thread *begun, uint32_t id) {
  struct rf_slot *slot = begun->entry ? rf_slot_in(begun->entry->slots, id) : NULL;
  if (slot && slot->depth) slot->depth--;
}

void rf_block_leave(struct rf_thread *begun, uint32_t id, uint64_t cycles) {
  struct rf_thread *thread = rf_thread_get();
  struct rf_slot *slot = thread ? rf_calls_slot(thread, id) : NULL;
  if (!slot) return;
  if (!LIKELY(thread == begun)) {
    close_elsewhere(begun, id);
    slot->depth++;
  }
  if (!slot->depth) return; /* a forked child's: it began in the parent */
  rf_calls_add(slot, rf_block_duration(cycles));
}

/* ---- refunc.h ---- */

static uint32_t id_of(struct refunc_site *site) {
  uint32_t id = __atomic_load_n(&site->id, __ATOMIC_RELAXED);
  if (LIKELY(id)) return id - 1;
  id = rf_block_id(site->name);
  if (id != RF_NO_BLOCK) __atomic_store_n(&site->id, id + 1, __ATOMIC_RELAXED);
  return id;
}

struct refunc_running rf_api_timer_begin(struct refunc_site *site) {
  struct refunc_running running = {0, rf_thread_get()};
  if (running.thread && !rf_block_enter(running.thread, id_of(site))) running.thread = NULL;
  running.start = rf_cycles();
  return running;
}

void rf_api_timer_end(struct refunc_site *site, struct refunc_running running) {
  uint64_t now = rf_cycles();
  rf_block_leave(running.thread, site->id - 1, now - running.start);
}
