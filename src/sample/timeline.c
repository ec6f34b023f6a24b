/* See timeline.h. */
#include "sample/timeline.h"

#include "recording/writer.h"

#define CHUNK_POINTS 60
#define CHUNKS (RF_TIMELINE_POINTS / CHUNK_POINTS)

_Static_assert(RF_TIMELINE_POINTS % (2 * CHUNK_POINTS) == 0, "a joined table fills whole chunks");

struct table {
  rf_ref chunk[CHUNKS];
  uint32_t points;
};

static struct {
  struct table table[2];
  uint32_t current;
  uint32_t ticks_a_point, ticks; /* how many go into a point, and how many the last one has */
  double weight[RF_METRICS];     /* seconds behind the last point's means */
  double start_s;                /* of the last point */
  uint64_t dropped;
} line;

void rf_timeline_forget(void) {
  for (int t = 0; t < 2; t++) {
    line.table[t].points = 0;
    for (int i = 0; i < CHUNKS; i++) line.table[t].chunk[i] = 0;
  }
  line.current = line.ticks = 0;
  line.ticks_a_point = 1;
}

static struct rf_sample_entry *point_at(const struct table *table, uint32_t index) {
  struct rf_chunk *chunk = rf_recording_at(table->chunk[index / CHUNK_POINTS]);
  return (struct rf_sample_entry *)(chunk + 1) + index % CHUNK_POINTS;
}

static rf_ref new_chunk(void) {
  struct rf_chunk *chunk = rf_recording_alloc(sizeof *chunk + CHUNK_POINTS * sizeof(struct rf_sample_entry));
  if (!chunk) return 0;
  chunk->kind = RF_TABLE_SAMPLE;
  chunk->entry_bytes = sizeof(struct rf_sample_entry);
  chunk->capacity = CHUNK_POINTS;
  return rf_recording_ref(chunk);
}

/* Room for one more point at the table's end, not yet visible; NULL when the recording is full. */
static struct rf_sample_entry *next_point(struct table *table) {
  uint32_t at = table->points / CHUNK_POINTS;
  if (!table->chunk[at] && !(table->chunk[at] = new_chunk())) return NULL;
  return point_at(table, table->points);
}

static void publish_point(struct table *table) {
  uint32_t at = table->points / CHUNK_POINTS;
  struct rf_chunk *chunk = rf_recording_at(table->chunk[at]);
  table->points++;
  __atomic_store_n(&chunk->count, (table->points - 1) % CHUNK_POINTS + 1, __ATOMIC_RELEASE);
  if (at == 0) return;
  struct rf_chunk *before = rf_recording_at(table->chunk[at - 1]);
  __atomic_store_n(&before->next, table->chunk[at], __ATOMIC_RELEASE);
}

static void empty(struct table *table) {
  table->points = 0;
  for (int i = 0; i < CHUNKS; i++) {
    struct rf_chunk *chunk = rf_recording_at(table->chunk[i]);
    if (!chunk) continue;
    __atomic_store_n(&chunk->count, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&chunk->next, 0, __ATOMIC_RELEASE);
  }
}

static void show(struct rf_reading *r) {
  rf_ref root = line.table[line.current].chunk[0];
  __atomic_store_n(&r->totals->current_timeline, root, __ATOMIC_RELEASE);
  __atomic_store_n(rf_recording_root(RF_TABLE_SAMPLE), root, __ATOMIC_RELEASE);
}

static void widen(float *to, float value) {
  if (value < to[0]) to[0] = value;
  if (value > to[2]) to[2] = value;
}

/* Folds (min, mean, max) more, which stands for more_weight, into to, which stands for weight. NaN: nothing.
 */
static void fold(float *to, double weight, const float *more, double more_weight) {
  if (more[1] != more[1]) return;
  if (to[1] != to[1]) {
    for (int i = 0; i < 3; i++) to[i] = more[i];
    return;
  }
  double sum = weight + more_weight;
  if (sum > 0) to[1] = (float)((to[1] * weight + more[1] * more_weight) / sum);
  for (int i = 0; i < 3; i += 2) widen(to, more[i]);
  widen(to, to[1]);
}

static void join_pair(struct rf_sample_entry *to, const struct rf_sample_entry *a,
                      const struct rf_sample_entry *b) {
  double start = a->time_s - a->length_s / 2, end = b->time_s + b->length_s / 2;
  to->time_s = (start + end) / 2;
  to->length_s = end - start;
  for (int m = 0; m < RF_METRICS; m++) {
    for (int i = 0; i < 3; i++) to->value[m][i] = a->value[m][i];
    fold(to->value[m], a->length_s, b->value[m], b->length_s);
  }
}

/* Joins neighbours into the other table; false, with nothing changed, when there is no room for it. */
static bool join(struct rf_reading *r) {
  const struct table *from = &line.table[line.current];
  struct table *to = &line.table[!line.current];
  empty(to);
  for (uint32_t i = 0; i + 1 < from->points; i += 2) {
    struct rf_sample_entry *point = next_point(to);
    if (!point) return false;
    join_pair(point, point_at(from, i), point_at(from, i + 1));
    publish_point(to);
  }
  line.current = !line.current;
  line.ticks_a_point *= 2;
  show(r);
  return true;
}

static struct rf_sample_entry *begin_point(struct rf_reading *r, double start_s) {
  struct table *table = &line.table[line.current];
  if (table->points == RF_TIMELINE_POINTS) {
    if (!join(r)) return NULL;
    table = &line.table[line.current];
  }
  struct rf_sample_entry *point = next_point(table);
  if (!point) return NULL;
  line.start_s = start_s;
  line.ticks = 0;
  for (int m = 0; m < RF_METRICS; m++) {
    line.weight[m] = 0;
    for (int i = 0; i < 3; i++) point->value[m][i] = __builtin_nanf("");
  }
  return point;
}

/* brief: the rest of an interval, before the end; its rates would make wild extremes, so it counts in the
 * mean alone. */
static void fill_point(struct rf_reading *r, struct rf_sample_entry *point, double end_s, bool brief) {
  point->time_s = (line.start_s + end_s) / 2;
  point->length_s = end_s - line.start_s;
  for (int m = 0; m < RF_METRICS; m++) {
    float value = (float)r->value[m], *known = point->value[m];
    if (value != value) continue;
    bool inside = brief && known[1] == known[1];
    fold(known, line.weight[m], (const float[3]){inside ? known[0] : value, value, inside ? known[2] : value},
         r->span[m]);
    line.weight[m] += r->span[m];
  }
  line.ticks++;
}

static void add_point(struct rf_reading *r, double start_s, double end_s, bool brief) {
  struct table *table = &line.table[line.current];
  bool fresh = table->points == 0 || (line.ticks >= line.ticks_a_point && !brief);
  struct rf_sample_entry *point = fresh ? begin_point(r, start_s) : point_at(table, table->points - 1);
  if (!point) {
    r->header->dropped_samples++;
    return;
  }
  fill_point(r, point, end_s, brief);
  if (!fresh) return;
  publish_point(&line.table[line.current]);
  if (line.table[line.current].points == 1) show(r);
}

/* Means and p95 over the whole life, from every tick. */
static void add_means(struct rf_reading *r, bool brief) {
  struct rf_system_entry *t = r->totals;
  for (int m = 0; m < RF_METRICS; m++) {
    double value = r->value[m];
    if (value != value) continue;
    bool first = t->metric[m].weight == 0;
    if (first || (value < t->metric[m].min && !brief)) t->metric[m].min = value;
    if (first || (value > t->metric[m].max && !brief)) t->metric[m].max = value;
    t->metric[m].sum += value * r->span[m];
    t->metric[m].weight += r->span[m];
    double mean = t->metric[m].weight > 0 ? t->metric[m].sum / t->metric[m].weight : value;
    if (mean < t->metric[m].min) t->metric[m].min = mean;
    if (mean > t->metric[m].max) t->metric[m].max = mean;
  }
  double cpu = r->value[RF_METRIC_CPU_PROCESS];
  if (cpu == cpu && !brief) t->cpu_histogram[cpu < 16 ? (uint32_t)(cpu * 16) : 255]++;
  t->samples++;
}

void rf_timeline_add(struct rf_reading *r, int64_t start_ns) {
  double start_s = (double)(start_ns - r->header->start_monotonic_ns) / 1e9;
  double end_s = (double)(r->now_ns - r->header->start_monotonic_ns) / 1e9;
  if (start_s < 0) start_s = 0;
  bool brief = r->totals->samples > 0 && end_s - start_s < r->totals->interval_s / 2;
  add_means(r, brief);
  add_point(r, start_s, end_s, brief);
}
