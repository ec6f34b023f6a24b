/*
 * See edges.h. Each thread has a private open-addressing table that leads from a pair to its entry in the
 * recording; a pair that is new, or a table that is getting full, takes the slow way, on a stack of its own.
 */
#include "trace/edges.h"

#include "base/lock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "recording/writer.h"
#include "trace/account.h"
#include "trace/callers.h"
#include "trace/records.h"

#define FIRST_CAPACITY 256u
#define PER_CHUNK 64

struct rf_edges {
  uint32_t capacity, count; /* capacity: a power of two */
  struct rf_edge_entry *entry[];
};

bool rf_edges_on;
static struct rf_lock appending;

void rf_edges_start(bool on) { rf_edges_on = on; }

uint32_t rf_edge_caller(struct rf_record *record) {
  struct rf_record *below = record->flags & RF_RECORD_FOREIGN ? NULL : rf_record_below(record);
  return below ? below->id : RF_NO_CALLER;
}

static uint32_t slot_of(const struct rf_edges *edges, uint32_t caller, uint32_t callee) {
  uint64_t hash = ((uint64_t)caller << 32 | callee) * 0x9e3779b97f4a7c15u;
  uint32_t at = (uint32_t)(hash >> 40) & (edges->capacity - 1);
  while (edges->entry[at] && (edges->entry[at]->caller != caller || edges->entry[at]->callee != callee))
    at = (at + 1) & (edges->capacity - 1);
  return at;
}

static bool grow(struct rf_thread *thread) {
  struct rf_edges *old = thread->edges;
  uint32_t capacity = old ? 2 * old->capacity : FIRST_CAPACITY;
  struct rf_edges *edges = rf_pages(sizeof *edges + capacity * sizeof *edges->entry);
  if (!edges) return false;
  edges->capacity = capacity;
  for (uint32_t i = 0; old && i < old->capacity; i++) {
    if (!old->entry[i]) continue;
    edges->entry[slot_of(edges, old->entry[i]->caller, old->entry[i]->callee)] = old->entry[i];
    edges->count++;
  }
  thread->edges = edges;
  if (old) rf_pages_free(old, sizeof *old + old->capacity * sizeof *old->entry);
  return true;
}

static void insert(uint32_t caller, uint32_t callee) {
  struct rf_thread *thread = rf_tls.self;
  if ((!thread->edges || thread->edges->count * 2 >= thread->edges->capacity) && !grow(thread)) return;
  rf_lock_take(&appending);
  rf_ref *root = rf_recording_root(RF_TABLE_EDGE);
  struct rf_edge_entry *entry = rf_table_append(root, RF_TABLE_EDGE, sizeof *entry, PER_CHUNK);
  if (entry) {
    *entry = (struct rf_edge_entry){.thread = thread->index, .caller = caller, .callee = callee};
    rf_table_publish(*root);
    thread->edges->entry[slot_of(thread->edges, caller, callee)] = entry;
    thread->edges->count++;
  }
  rf_lock_give(&appending);
}

static void insert_quietly(uint32_t caller, uint32_t callee) {
  rf_with_vectors_saved(insert, caller, callee);
}

static struct rf_edge_entry *find(uint32_t caller, uint32_t callee) {
  const struct rf_edges *edges = rf_tls.self->edges;
  return edges ? edges->entry[slot_of(edges, caller, callee)] : NULL;
}

static struct rf_edge_entry *find_or_insert(uint32_t caller, uint32_t callee) {
  if (caller == RF_NO_CALLER) return NULL;
  struct rf_edge_entry *entry = find(caller, callee);
  if (entry) return entry;
  rf_preserved_on_own_stack(caller, callee, 0, insert_quietly);
  return find(caller, callee);
}

static inline void add(struct rf_edge_entry *entry, uint64_t calls, uint64_t time) {
  entry->calls += calls;
  if (__builtin_expect(__builtin_add_overflow(entry->sum, time, &entry->sum), 0)) entry->sum_high++;
}

RF_PRESERVE_ALL void rf_edge_add(const struct rf_record *record, uint32_t caller, uint64_t duration) {
  struct rf_edge_entry *entry = find_or_insert(caller, record->id);
  if (entry) add(entry, rf_weight(record->flags), rf_weight(record->flags) * duration);
}

RF_PRESERVE_ALL void rf_edge_add_time(const struct rf_record *record, uint32_t caller, uint64_t duration,
                                      uint64_t time) {
  struct rf_edge_entry *entry = find_or_insert(caller, record->id);
  if (entry) add(entry, time / (duration ? duration : 1), time);
}
