/* See compare.h. */
#include "report/compare.h"

#include <stdlib.h>
#include <string.h>

#define FEW_CALLS 20
#define RESOLUTION_S 5e-9 /* a smaller difference is below what the clock resolves, whatever its share */

struct series {
  double *value;
  size_t count;
  uint64_t calls;
  double ci95;
};

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static struct rf_side summarize(struct series *s) {
  struct rf_side side = {NAN, NAN, NAN, s->count, s->calls};
  if (!s->count) return side;
  qsort(s->value, s->count, sizeof *s->value, by_value);
  side.min = s->value[0];
  side.max = s->value[s->count - 1];
  side.median =
      s->count % 2 ? s->value[s->count / 2] : (s->value[s->count / 2 - 1] + s->value[s->count / 2]) / 2;
  return side;
}

/* --- one row --- */

static enum rf_change judge(double base, double fresh, double tolerance, double resolution) {
  if (fabs(fresh - base) < resolution) return RF_SAME;
  if (fresh > base * (1 + tolerance)) return RF_REGRESSED;
  return fresh < base / (1 + tolerance) ? RF_IMPROVED : RF_SAME;
}

static void add_row(struct rf_comparison *c, struct rf_compared row, struct series *base,
                    struct series *fresh, double resolution) {
  if (!base->count || !fresh->count) return;
  row.base = summarize(base);
  row.fresh = summarize(fresh);
  row.ratio = row.base.median > 0 ? row.fresh.median / row.base.median - 1 : NAN;
  row.change = judge(row.base.median, row.fresh.median, c->tolerance, resolution);
  row.overlaps = row.base.min <= row.fresh.max && row.fresh.min <= row.base.max;
  bool few = row.function && (base->calls < FEW_CALLS || fresh->calls < FEW_CALLS);
  row.weak = few || base->ci95 > c->tolerance / 2 || fresh->ci95 > c->tolerance / 2;
  c->regressed += row.change == RF_REGRESSED;
  c->improved += row.change == RF_IMPROVED;
  *(struct rf_compared *)rf_arena_push(c->arena, &c->row, c->rows, sizeof row) = row;
  c->rows++;
}

static void add_value(struct series *s, double value) {
  if (!isnan(value)) s->value[s->count++] = value;
}

/* --- functions, found again by name and module --- */

struct entry {
  const char *name, *module;
  const struct rf_report_function **base, **fresh;
  size_t bases, freshes;
};

struct table {
  struct rf_comparison *c;
  struct entry *entry;
  size_t entries;
  size_t *slot;
  size_t slots;
};

static size_t hash_names(const char *name, const char *module) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
  for (; *module; module++) hash = (hash ^ (unsigned char)*module) * 0x100000001b3u;
  return (size_t)(hash ^ hash >> 29);
}

static void grow(struct table *t) {
  if (t->entries * 2 < t->slots) return;
  t->slots = t->slots ? t->slots * 2 : 1024;
  t->slot = rf_arena_alloc(t->c->arena, t->slots * sizeof *t->slot);
  for (size_t i = 0; i < t->entries; i++) {
    size_t at = hash_names(t->entry[i].name, t->entry[i].module) & (t->slots - 1);
    while (t->slot[at]) at = (at + 1) & (t->slots - 1);
    t->slot[at] = i + 1;
  }
}

static struct entry *find(struct table *t, const struct rf_report_function *f) {
  grow(t);
  size_t at = hash_names(f->name, f->module) & (t->slots - 1);
  for (; t->slot[at]; at = (at + 1) & (t->slots - 1)) {
    struct entry *e = &t->entry[t->slot[at] - 1];
    if (strcmp(e->name, f->name) == 0 && strcmp(e->module, f->module) == 0) return e;
  }
  struct entry *e = rf_arena_push(t->c->arena, &t->entry, t->entries++, sizeof *e);
  *e = (struct entry){.name = f->name, .module = f->module};
  t->slot[at] = t->entries;
  return e;
}

static void collect(struct table *t, struct rf_report *const *reports, size_t count, bool fresh) {
  for (size_t r = 0; r < count; r++)
    for (size_t i = 0; i < reports[r]->functions; i++) {
      const struct rf_report_function *f = &reports[r]->function[i];
      if (!f->calls) continue;
      struct entry *e = find(t, f);
      if (fresh)
        *(const struct rf_report_function **)rf_arena_push(t->c->arena, &e->fresh, e->freshes++, sizeof f) =
            f;
      else
        *(const struct rf_report_function **)rf_arena_push(t->c->arena, &e->base, e->bases++, sizeof f) = f;
    }
}

static double metric_of(const struct rf_report_function *f, bool p95) { return p95 ? f->p95_s : f->mean_s; }

static struct series series_of(struct rf_arena *arena, const struct rf_report_function *const *f,
                               size_t count, bool p95) {
  struct series s = {.value = rf_arena_alloc(arena, count * sizeof(double))};
  for (size_t i = 0; i < count; i++) {
    add_value(&s, metric_of(f[i], p95));
    s.calls += f[i]->calls;
    s.ci95 = rf_max_known(s.ci95, f[i]->ci95_ratio);
  }
  return s;
}

static void note_single(struct rf_comparison *c, const struct entry *e) {
  struct rf_report_skipped *s = e->bases
                                    ? rf_arena_push(c->arena, &c->only_base, c->only_bases++, sizeof *s)
                                    : rf_arena_push(c->arena, &c->only_fresh, c->only_freshes++, sizeof *s);
  *s = (struct rf_report_skipped){e->name, e->module, ""};
}

static void compare_entry(struct rf_comparison *c, const struct entry *e) {
  if (!e->bases || !e->freshes) {
    note_single(c, e);
    return;
  }
  size_t before = c->rows;
  for (int p95 = 0; p95 < 2; p95++) {
    struct series base = series_of(c->arena, e->base, e->bases, p95),
                  fresh = series_of(c->arena, e->fresh, e->freshes, p95);
    add_row(c, (struct rf_compared){e->name, e->module, p95 ? "p95_s" : "mean_s"}, &base, &fresh,
            RESOLUTION_S);
  }
  c->common += c->rows > before;
}

static void compare_heap(struct rf_comparison *c, struct rf_report *const *base, size_t base_count,
                         struct rf_report *const *fresh, size_t fresh_count) {
  struct series a = {.value = rf_arena_alloc(c->arena, base_count * sizeof(double))};
  struct series b = {.value = rf_arena_alloc(c->arena, fresh_count * sizeof(double))};
  for (size_t i = 0; i < base_count; i++) add_value(&a, base[i]->heap.peak_bytes);
  for (size_t i = 0; i < fresh_count; i++) add_value(&b, fresh[i]->heap.peak_bytes);
  add_row(c, (struct rf_compared){NULL, "", "heap.peak_bytes"}, &a, &b,
          64 * 1024); /* the peak is exact to that, a thread */
}

static int by_badness(const void *left, const void *right) {
  const struct rf_compared *a = left, *b = right;
  double x = isnan(a->ratio) ? 0 : a->ratio, y = isnan(b->ratio) ? 0 : b->ratio;
  bool a_bad = a->change == RF_REGRESSED, b_bad = b->change == RF_REGRESSED;
  if (a_bad != b_bad) return a_bad ? -1 : 1;
  return (x < y) - (x > y);
}

struct rf_comparison *rf_compare(struct rf_report *const *base, size_t base_count,
                                 struct rf_report *const *fresh, size_t fresh_count, double tolerance) {
  struct rf_arena *arena = rf_arena_new();
  struct rf_comparison *c = rf_arena_alloc(arena, sizeof *c);
  *c = (struct rf_comparison){
      .arena = arena, .tolerance = tolerance, .base_runs = base_count, .fresh_runs = fresh_count};
  struct table t = {.c = c};
  collect(&t, base, base_count, false);
  collect(&t, fresh, fresh_count, true);
  for (size_t i = 0; i < t.entries; i++) compare_entry(c, &t.entry[i]);
  compare_heap(c, base, base_count, fresh, fresh_count);
  if (base_count && fresh_count) rf_compare_machines(c, base[0], fresh[0]);
  if (c->rows) qsort(c->row, c->rows, sizeof *c->row, by_badness);
  return c;
}

void rf_comparison_free(struct rf_comparison *comparison) {
  if (comparison) rf_arena_free(comparison->arena);
}
