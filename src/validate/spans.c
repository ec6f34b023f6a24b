/* See spans.h. Compiled with general registers only. */
#include "validate/spans.h"

#include "arch/entry.h"
#include "base/lock.h"
#include "base/memory.h"
#include "recording/writer.h"
#include "trace/account.h"

#define PLACES 8u
#define DEFAULT_IN_FLIGHT 65536u
#define MOST_IN_FLIGHT (1u << 24)
#define MOST_STEPS 4096u /* buckets that are looked through for room */

enum { FREE, BUSY, TAKEN };

struct bucket {
  uint64_t key[PLACES], start[PLACES];
  uint32_t state[PLACES];
  uint32_t spilled; /* keys of this bucket that lie in a later one */
};

struct rf_span {
  struct rf_span_plan plan;
  struct rf_span_entry *entry;
  struct bucket *bucket;
  uint64_t mask;
  uint64_t in_flight;
  struct rf_span *next;
};

static struct rf_span *spans;
static struct rf_lock making;

static bool same(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return *a == *b;
}

/* ---- making ---- */

static size_t bytes_of(const struct rf_span *span) { return (span->mask + 1) * sizeof *span->bucket; }

static bool record(struct rf_span *span) {
  rf_ref *root = rf_recording_root(RF_TABLE_SPAN);
  struct rf_span_entry *entry = root ? rf_table_append(root, RF_TABLE_SPAN, sizeof *entry, 4) : NULL;
  if (!entry) return false;
  entry->name = rf_recording_text(span->plan.name);
  entry->begin = rf_recording_text(span->plan.begin);
  entry->end = rf_recording_text(span->plan.end);
  entry->slot.min = UINT64_MAX;
  span->entry = entry;
  rf_table_publish(*root);
  return true;
}

static bool make_buckets(struct rf_span *span) {
  uint64_t wanted = span->plan.in_flight * 2 / PLACES + 1, count = 1;
  while (count < wanted) count *= 2;
  span->mask = count - 1;
  span->bucket = rf_pages(bytes_of(span));
  return span->bucket != NULL;
}

static struct rf_span *make(const struct rf_span_plan *plan) {
  struct rf_span *span = rf_calloc(1, sizeof *span);
  if (!span) return NULL;
  span->plan = *plan;
  if (!span->plan.in_flight) span->plan.in_flight = DEFAULT_IN_FLIGHT;
  if (span->plan.in_flight > MOST_IN_FLIGHT) span->plan.in_flight = MOST_IN_FLIGHT;
  if (!make_buckets(span) || !record(span)) return NULL;
  span->next = spans;
  __atomic_store_n(&spans, span, __ATOMIC_RELEASE);
  return span;
}

struct rf_span *rf_span_new(const struct rf_span_plan *plan) {
  rf_lock_take(&making);
  struct rf_span *span = make(plan);
  rf_lock_give(&making);
  return span;
}

static struct rf_span *find(const char *name) {
  struct rf_span *span = __atomic_load_n(&spans, __ATOMIC_ACQUIRE);
  while (span && !same(span->plan.name, name)) span = span->next;
  return span;
}

struct rf_span *rf_span_named(const char *name) {
  struct rf_span *span = find(name);
  if (span) return span;
  rf_lock_take(&making);
  span = find(name);
  const char *copy = span ? NULL : rf_strdup(name);
  if (copy) span = make(&(struct rf_span_plan){.name = copy});
  rf_lock_give(&making);
  return span;
}

void rf_spans_record_again(void) {
  for (struct rf_span *span = spans; span; span = span->next) {
    struct bucket *old = span->bucket;
    span->entry = NULL;
    span->in_flight = 0;
    if (make_buckets(span))
      rf_pages_free(old, bytes_of(span));
    else
      span->bucket = NULL;
    record(span);
  }
}

/* ---- places ---- */

static uint64_t hash_of(uint64_t key) {
  key ^= key >> 32;
  key *= 0x9e3779b97f4a7c15ull;
  return key ^ key >> 29;
}

static bool swap_state(struct bucket *b, uint32_t place, uint32_t from, uint32_t to) {
  return __atomic_compare_exchange_n(&b->state[place], &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void release(struct bucket *b, uint32_t place, uint32_t state) {
  __atomic_store_n(&b->state[place], state, __ATOMIC_RELEASE);
}

struct found {
  struct bucket *bucket;
  uint32_t place;
  uint64_t distance;
};

/* The taken place of a key, the oldest where several have it; now busy, and the caller's. */
static bool claim_key(struct rf_span *span, uint64_t key, struct found *found) {
  uint64_t home = hash_of(key) & span->mask, oldest = UINT64_MAX;
  struct found best = {0};
  for (uint64_t step = 0; step <= span->mask && step < MOST_STEPS; step++) {
    struct bucket *b = &span->bucket[(home + step) & span->mask];
    for (uint32_t i = 0; i < PLACES; i++) {
      if (__atomic_load_n(&b->state[i], __ATOMIC_ACQUIRE) != TAKEN || b->key[i] != key ||
          b->start[i] >= oldest)
        continue;
      oldest = b->start[i];
      best = (struct found){b, i, step};
    }
    if (best.bucket && span->plan.duplicate != RF_SPAN_QUEUE) break;
    if (!__atomic_load_n(&b->spilled, __ATOMIC_ACQUIRE)) break;
  }
  if (!best.bucket || !swap_state(best.bucket, best.place, TAKEN, BUSY)) return false;
  if (best.bucket->key[best.place] != key) { /* it went to another meanwhile */
    release(best.bucket, best.place, TAKEN);
    return false;
  }
  *found = best;
  return true;
}

static void count_spill(struct rf_span *span, uint64_t key, uint64_t distance, uint32_t change) {
  uint64_t home = hash_of(key) & span->mask;
  for (uint64_t step = 0; step < distance; step++)
    __atomic_fetch_add(&span->bucket[(home + step) & span->mask].spilled, change, __ATOMIC_ACQ_REL);
}

static bool claim_free(struct rf_span *span, uint64_t key, struct found *found) {
  uint64_t home = hash_of(key) & span->mask;
  for (uint64_t step = 0; step <= span->mask && step < MOST_STEPS; step++) {
    struct bucket *b = &span->bucket[(home + step) & span->mask];
    for (uint32_t i = 0; i < PLACES; i++) {
      if (b->state[i] != FREE || !swap_state(b, i, FREE, BUSY)) continue;
      *found = (struct found){b, i, step};
      return true;
    }
  }
  return false;
}

static void raise_most(uint64_t *most, uint64_t value) {
  uint64_t before = __atomic_load_n(most, __ATOMIC_RELAXED);
  while (before < value &&
         !__atomic_compare_exchange_n(most, &before, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static void lower_least(uint64_t *least, uint64_t value) {
  uint64_t before = __atomic_load_n(least, __ATOMIC_RELAXED);
  while (before > value &&
         !__atomic_compare_exchange_n(least, &before, value, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
}

static uint64_t count(uint64_t *counter, uint64_t by) {
  return __atomic_add_fetch(counter, by, __ATOMIC_RELAXED);
}

/* ---- begin and end ---- */

void rf_span_drop(struct rf_span *span) {
  if (span->entry) count(&span->entry->dropped, 1);
}

static void open_place(struct rf_span *span, uint64_t key, uint64_t now) {
  struct rf_span_entry *entry = span->entry;
  struct found found;
  uint64_t open = count(&span->in_flight, 1);
  if (open > span->plan.in_flight || !claim_free(span, key, &found)) {
    count(&span->in_flight, (uint64_t)-1);
    count(&entry->dropped, 1);
    return;
  }
  found.bucket->key[found.place] = key;
  found.bucket->start[found.place] = now;
  count_spill(span, key, found.distance, 1);
  count(&entry->in_flight, 1);
  raise_most(&entry->in_flight_max, open);
  release(found.bucket, found.place, TAKEN);
}

void rf_span_begin(struct rf_span *span, uint64_t key, uint64_t now) {
  struct rf_span_entry *entry = span->entry;
  struct found found;
  if (!entry || !span->bucket) return;
  count(&entry->slot.entered, 1);
  if (span->in_flight && claim_key(span, key, &found)) {
    count(&entry->duplicate_keys, 1);
    if (span->plan.duplicate == RF_SPAN_RESTART) found.bucket->start[found.place] = now;
    release(found.bucket, found.place, TAKEN);
    if (span->plan.duplicate != RF_SPAN_QUEUE) return;
  }
  open_place(span, key, now);
}

static void make_octave(struct rf_slot *slot, uint32_t octave) {
  rf_ref fresh = rf_recording_ref(rf_recording_alloc(RF_SUBBUCKETS * sizeof(uint64_t))), none = 0;
  if (fresh)
    __atomic_compare_exchange_n(&slot->octave[octave], &none, fresh, false, __ATOMIC_RELEASE,
                                __ATOMIC_RELAXED);
}

static void make_octave_saved(struct rf_slot *slot, uint32_t octave) {
  rf_with_vectors_saved(make_octave, (uintptr_t)slot, octave);
}

/* As rf_slot_add, but for a slot that all threads share. */
static void add_shared(struct rf_slot *slot, uint64_t duration) {
  unsigned __int128 square = (unsigned __int128)duration * duration;
  struct rf_bucket bucket = rf_bucket_of(duration);
  if (!slot->octave[bucket.octave])
    rf_preserved_on_own_stack((uintptr_t)slot, bucket.octave, 0, make_octave_saved);
  uint64_t *counter = rf_slot_counter(slot, bucket);
  if (counter) count(counter, 1);
  count(&slot->durations, 1);
  if (count(&slot->sum, duration) < duration) count(&slot->sum_high, 1);
  count(&slot->sum_outer, duration); /* without its carry: readers take the sum, which is the same here */
  count(&slot->weights, 1);
  count(&slot->weight_squares, 1);
  uint64_t low = count(&slot->square_low, (uint64_t)square);
  count(&slot->square_high, (uint64_t)(square >> 64) + (low < (uint64_t)square));
  lower_least(&slot->min, duration);
  raise_most(&slot->max, duration);
}

bool rf_span_end(struct rf_span *span, uint64_t key, uint64_t now) {
  struct rf_span_entry *entry = span->entry;
  struct found found;
  if (!entry || !span->bucket) return false;
  if (!claim_key(span, key, &found)) {
    count(&entry->unmatched_ends, 1);
    return false;
  }
  uint64_t start = found.bucket->start[found.place];
  count_spill(span, key, found.distance, (uint32_t)-1);
  release(found.bucket, found.place, FREE);
  count(&span->in_flight, (uint64_t)-1);
  count(&entry->in_flight, (uint64_t)-1);
  add_shared(&entry->slot, now > start ? now - start : 0);
  return true;
}
