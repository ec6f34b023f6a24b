/*
 * See labels.h. A table of distances is taken for one where its first word leads into the code; it goes on to
 * the next one, or to the first word that leads elsewhere. Too many labels cost room, too few the program.
 */
#include "patch/labels.h"

#include <string.h>

#include "arch/stub.h"
#include "base/grow.h"
#include "base/memory.h"

enum { BEGINNING = 16 }; /* bytes of a function that a jump and what is before it may cover */

/* wide: of addresses, which are pointers as well; to the beginning of the function that jumps by it they are
 * not. */
struct table {
  uintptr_t start, from;
  bool wide;
};

struct search {
  const struct rf_branch_query *query;
  struct rf_labels *labels;
  struct table *tables;
  size_t count, capacity;
  struct rf_branch_cursor cursor;
  struct rf_extent around; /* the function that holds what was looked at last */
  bool judged;             /* ... and whether it may jump to any place in it has been seen */
};

static bool in_text(const struct rf_branch_query *q, uintptr_t address) {
  return address - q->text_start < q->text_end - q->text_start;
}

static void add(const struct search *s, uint32_t from, uintptr_t to) {
  struct rf_labels *labels = s->labels;
  struct rf_label *label = rf_grow(labels->label, labels->count, &labels->capacity, sizeof *label);
  if (!label) {
    labels->incomplete = true;
    return;
  }
  labels->label = label;
  label[labels->count++] = (struct rf_label){from, (uint32_t)(to - s->query->text_start)};
}

static void pointer(void *user, uintptr_t address) {
  const struct search *s = user;
  if (in_text(s->query, address)) add(s, RF_LABEL_DATA, address);
}

/* ---- tables of distances ---- */

static size_t entry_bytes(const struct table *table) {
  return table->wide ? sizeof(uint64_t) : sizeof(int32_t);
}

static bool entry_at(const struct search *s, const struct table *table, uintptr_t at, uintptr_t *to) {
  int32_t distance;
  memcpy(&distance, (const void *)at, sizeof distance);
  *to = table->start + (uintptr_t)(intptr_t)distance;
  if (table->wide) memcpy(to, (const void *)at, sizeof *to);
  return in_text(s->query, *to);
}

static void may_be_table(struct search *s, struct table table) {
  uintptr_t to;
  if (rf_module_constant(s->query->module, table.start) < entry_bytes(&table) ||
      !entry_at(s, &table, table.start, &to))
    return;
  struct table *tables = rf_grow(s->tables, s->count, &s->capacity, sizeof *tables);
  if (!tables) return;
  s->tables = tables;
  tables[s->count++] = table;
}

static int by_start(const void *a, const void *b) {
  uintptr_t x = ((const struct table *)a)->start, y = ((const struct table *)b)->start;
  return x < y ? -1 : x > y;
}

/* Of addresses only that of the beginning of the function that jumps by the table: the others are pointers, too. */
static void visit_table(const struct search *s, const struct table *table, uintptr_t end) {
  uintptr_t to, readable = table->start + rf_module_constant(s->query->module, table->start);
  struct rf_branch_cursor cursor = {0, 0};
  const struct rf_extent *f = table->wide ? rf_branch_function(s->query, table->from) : NULL;
  size_t bytes = entry_bytes(table);
  if (end > readable) end = readable;
  for (uintptr_t at = table->start; at + bytes <= end && entry_at(s, table, at, &to); at += bytes)
    if (!table->wide || (f && to == f->address && rf_branch_holds_word(s->query, &cursor, table->from)))
      add(s, (uint32_t)(table->from - s->query->text_start), to);
}

static void visit_tables(struct search *s) {
  rf_sort(s->tables, s->count, sizeof *s->tables, by_start);
  for (size_t i = 0, next; i < s->count; i++) {
    for (next = i + 1; next < s->count && s->tables[next].start == s->tables[i].start;) next++;
    visit_table(s, &s->tables[i], next < s->count ? s->tables[next].start : UINTPTR_MAX);
  }
  rf_free(s->tables);
}

/* ---- labels that instructions take ---- */

bool rf_names_inside(const struct rf_extent *f, uintptr_t at, const struct rf_instruction *in) {
  uint32_t last = 0;
  if (in->displacement && in->target - f->address - 1 < f->size - 1) return true;
  if (in->length < 5 || in->immediate) return false;
  memcpy(&last, (const void *)(at + in->length - sizeof last), sizeof last); /* an absolute address */
  return last - f->address - 1 < f->size - 1;
}

static bool goes_anywhere(const struct rf_extent *f) {
  struct rf_instruction in;
  bool jumps = false, names = false;
  for (uintptr_t at = f->address, end = at + f->size; at < end; at += in.length) {
    if (!rf_decode((const uint8_t *)at, end - at, at, &in)) {
      in.length = 1;
      continue;
    }
    jumps |= in.by_table;
    names |= rf_names_inside(f, at, &in);
  }
  return jumps && names;
}

/* The function around an instruction; they come in order. */
static const struct rf_extent *function_around(struct search *s, uintptr_t from) {
  if (from - s->around.address < s->around.size) return &s->around;
  const struct rf_extent *f = rf_branch_function(s->query, from);
  if (!f) return NULL;
  s->around = *f;
  s->judged = false;
  return &s->around;
}

static bool is_inside(const struct rf_extent *f, uintptr_t to) {
  return f && to - f->address - 1 < f->size - 1;
}

/* A label of its own is taken. Differences of labels may be added to it, to lead anywhere in the function. */
static void judge_function(struct search *s, const struct rf_extent *f) {
  if (s->judged) return;
  s->judged = true;
  bool anywhere = goes_anywhere(f);
  for (uintptr_t at = f->address + 1; anywhere && at < f->address + BEGINNING && at < f->address + f->size;
       at++)
    pointer(s, at);
}

/* What takes its own address finds out where it is, as large code models do. */
static void taken(void *user, size_t from, size_t to) {
  struct search *s = user;
  if (from == to) return;
  uintptr_t source = s->query->text_start + from, target = s->query->text_start + to;
  pointer(s, target);
  const struct rf_extent *f = in_text(s->query, target) ? function_around(s, source) : NULL;
  if (is_inside(f, target)) judge_function(s, f);
  may_be_table(s, (struct table){target, source, false});
}

/* Most are no addresses, so those of other functions' insides are not believed. */
static void taken_absolute(void *user, size_t from, size_t to, bool indexed) {
  struct search *s = user;
  uintptr_t source = s->query->text_start + from, target = s->query->text_start + to;
  if (indexed) may_be_table(s, (struct table){target, source, true});
  if (!in_text(s->query, target)) return;
  const struct rf_extent *f = function_around(s, source);
  if (!is_inside(f, target)) return;
  if (rf_branch_holds_word(s->query, &s->cursor, source)) pointer(s, target);
  judge_function(s, f);
}

void rf_labels_find(const struct rf_branch_query *q, struct rf_labels *labels) {
  struct search s = {.query = q, .labels = labels};
  struct rf_segment all = rf_module_hull(q->module);
  uintptr_t text = q->text_start;
  *labels = (struct rf_labels){0};
  rf_module_pointers_visit(q->module, pointer, &s);
  for (size_t i = 0; i < q->segment_count; i++) {
    const struct rf_segment *segment = &q->segments[i];
    struct rf_scan_range range = {(const uint8_t *)text, segment->start - text, segment->end - text, false,
                                  false};
    rf_label_scan(&range, taken, &s);
    if (!q->module->load_address) rf_absolute_scan(&range, all.start, all.end, taken_absolute, &s);
  }
  visit_tables(&s);
}

void rf_labels_free(struct rf_labels *labels) {
  rf_free(labels->label);
  *labels = (struct rf_labels){0};
}

void rf_labels_visit(const struct rf_branch_query *q, const struct rf_labels *labels, const uint64_t *targets,
                     void (*visit)(void *user, uintptr_t from, uintptr_t to), void *user) {
  uintptr_t text = q->text_start;
  for (size_t i = 0; i < labels->count; i++) {
    const struct rf_label *label = &labels->label[i];
    if (targets[label->to / 64] >> (label->to % 64) & 1)
      visit(user, label->from == RF_LABEL_DATA ? 0 : text + label->from, text + label->to);
  }
}
