/* Violations of rules and calls that were kept: from recordings into the model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/model_parts.h"
#include "report/sites.h"

struct source {
  struct rf_report *report;
  const struct rf_reader *reader;
  const struct rf_mapped_modules *modules;
  const size_t *targets;
  size_t count;
};

/* --- numbers --- */

static long double extended(const struct rf_recorded_number *n) {
  long double value = 0;
  memcpy(&value, &n->bits, 8);
  memcpy((char *)&value + 8, &n->exponent, 2);
  return value;
}

static const char *number_text(struct rf_arena *arena, const struct rf_recorded_number *n) {
  double real;
  memcpy(&real, &n->bits, sizeof real);
  switch (n->kind) {
  case 0: return rf_arena_printf(arena, "%lld", (long long)n->bits);
  case 1:
    return n->bits > UINT32_MAX ? rf_arena_printf(arena, "0x%llx", (unsigned long long)n->bits)
                                : rf_arena_printf(arena, "%llu", (unsigned long long)n->bits);
  case 2: return rf_arena_printf(arena, "%.12g", real);
  default: return rf_arena_printf(arena, "%.18Lg", extended(n));
  }
}

/* --- calls --- */

static double seconds_since_start(const struct rf_reader *reader, uint64_t cycles) {
  const struct rf_header *h = rf_reader_header(reader);
  if (cycles < h->start_cycles || !(h->cycles_per_second > 0)) return NAN;
  return (double)(cycles - h->start_cycles) / h->cycles_per_second;
}

static void read_stack(const struct source *s, rf_ref place, const uint64_t *stack, uint32_t depth,
                       struct rf_report_call *call) {
  call->depth = depth <= RF_CALL_DEPTH ? depth : 0;
  call->frame = rf_arena_alloc(s->report->arena, call->depth * sizeof *call->frame + 1);
  for (size_t i = 0; i < call->depth; i++) call->frame[i] = rf_mapped_frame(s->modules, place, stack[i]);
}

/* A struct that lies in the recording; false when it doesn't. */
static bool read_struct(const struct source *s, rf_ref ref, void *to, size_t bytes) {
  const uint64_t *words = ref ? rf_reader_words(s->reader, ref, (bytes + 7) / 8) : NULL;
  if (words) memcpy(to, words, bytes);
  return words != NULL;
}

/* --- violations --- */

static const char *value_of(const struct source *s, const struct rf_violation_example *e) {
  struct rf_arena *arena = s->report->arena;
  unsigned long long address = e->address;
  if (e->flags & RF_EXAMPLE_UNREADABLE)
    return address ? rf_arena_printf(arena, "unreadable at 0x%llx", address) : "a null pointer";
  if (e->flags & RF_EXAMPLE_ENDLESS) return rf_arena_printf(arena, "no end of the string at 0x%llx", address);
  if (e->flags & RF_EXAMPLE_TEXT) return rf_arena_text(arena, rf_reader_string(s->reader, e->text));
  return e->value.known ? number_text(arena, &e->value) : "unknown";
}

static const char *message_of(const struct source *s, const struct rf_violation_example *e) {
  return e->flags & RF_EXAMPLE_MESSAGE ? rf_arena_text(s->report->arena, rf_reader_string(s->reader, e->text))
                                       : "";
}

static void add_example(const struct source *s, rf_ref ref, struct rf_report_violation *v) {
  struct rf_violation_example e;
  if (!read_struct(s, ref, &e, sizeof e)) return;
  struct rf_report_call *call = rf_arena_push(s->report->arena, &v->example, v->examples++, sizeof *call);
  *call = (struct rf_report_call){.time_s = seconds_since_start(s->reader, e.cycles),
                                  .duration_s = NAN,
                                  .thread = e.tid,
                                  .args = "",
                                  .value = value_of(s, &e),
                                  .message = message_of(s, &e),
                                  .index = e.index};
  call->has_index = e.flags & RF_EXAMPLE_INDEX;
  read_stack(s, ref, e.stack, e.depth, call);
}

static struct rf_report_violation *violation_of(const struct source *s,
                                                const struct rf_violation_entry *entry) {
  struct rf_report *report = s->report;
  const struct rf_report_function *f = &report->function[s->targets[entry->function]];
  const char *parameter = rf_reader_string(s->reader, entry->parameter),
             *rule = rf_reader_string(s->reader, entry->rule);
  for (size_t i = 0; i < report->violations; i++) {
    struct rf_report_violation *v = &report->violation[i];
    if (!strcmp(v->function, f->name) && !strcmp(v->module, f->module) && !strcmp(v->parameter, parameter) &&
        !strcmp(v->rule, rule))
      return v;
  }
  struct rf_report_violation *v =
      rf_arena_push(report->arena, &report->violation, report->violations++, sizeof *v);
  *v = (struct rf_report_violation){.function = f->name,
                                    .module = f->module,
                                    .parameter = rf_arena_text(report->arena, parameter),
                                    .rule = rf_arena_text(report->arena, rule)};
  return v;
}

static void read_violations(const struct source *s) {
  struct rf_cursor cursor =
      rf_cursor_at(s->reader, rf_reader_header(s->reader)->root[RF_TABLE_VIOLATION], RF_TABLE_VIOLATION);
  struct rf_violation_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    if (entry.function >= s->count || (!entry.count && !entry.unchecked)) continue;
    struct rf_report_violation *v = violation_of(s, &entry);
    v->count += entry.count;
    v->unchecked += entry.unchecked;
    s->report->function[s->targets[entry.function]].violations += entry.count;
    for (int i = 0; i < RF_EXAMPLES && v->examples < RF_EXAMPLES; i++) add_example(s, entry.example[i], v);
  }
}

/* --- kept calls --- */

static const char *arguments_of(const struct source *s, const struct rf_kept_entry *entry,
                                const struct rf_kept_call *kept) {
  struct rf_arena *arena = s->report->arena;
  const char *name = rf_reader_string(s->reader, entry->names), *text = "";
  for (int i = 0; i < RF_KEPT_ARGUMENTS && *name; i++) {
    size_t length = strcspn(name, "\n");
    const char *value = kept->argument[i].known ? number_text(arena, &kept->argument[i]) : "?";
    text = rf_arena_printf(arena, "%s%s%.*s=%s", text, i ? ", " : "", (int)(length < 200 ? length : 200),
                           name, value);
    name += length + (name[length] == '\n');
  }
  return text;
}

static void add_kept(const struct source *s, const struct rf_kept_entry *entry, rf_ref place,
                     struct rf_report_function *f) {
  struct rf_kept_call kept;
  const struct rf_header *h = rf_reader_header(s->reader);
  if (!read_struct(s, place, &kept, sizeof kept) || !kept.duration) return;
  uint32_t mode = strcmp(f->mode, "perf_counter") ? RF_CLOCK_WALL : RF_CLOCK_PERF_COUNTER;
  struct rf_report_call *call = rf_arena_push(s->report->arena, &f->kept, f->kepts++, sizeof *call);
  *call = (struct rf_report_call){.time_s = seconds_since_start(s->reader, kept.cycles),
                                  .duration_s = (double)kept.duration * rf_unit_seconds(h, mode),
                                  .thread = kept.tid,
                                  .args = arguments_of(s, entry, &kept),
                                  .value = "",
                                  .message = ""};
  read_stack(s, place, kept.stack, kept.depth, call);
}

static int by_duration(const void *left, const void *right) {
  const struct rf_report_call *a = left, *b = right;
  return (a->duration_s < b->duration_s) - (a->duration_s > b->duration_s);
}

static void read_kept(const struct source *s) {
  struct rf_cursor cursor =
      rf_cursor_at(s->reader, rf_reader_header(s->reader)->root[RF_TABLE_KEPT], RF_TABLE_KEPT);
  struct rf_kept_entry entry;
  while (rf_cursor_next(&cursor, &entry, sizeof entry)) {
    if (entry.function >= s->count || !entry.calls) continue;
    struct rf_report_function *f = &s->report->function[s->targets[entry.function]];
    for (uint32_t i = 0; i < RF_KEPT_CALLS; i++)
      add_kept(s, &entry, entry.calls + i * (uint32_t)sizeof(struct rf_kept_call), f);
    if (f->kepts) qsort(f->kept, f->kepts, sizeof *f->kept, by_duration);
    if (f->kepts > RF_KEPT_CALLS) f->kepts = RF_KEPT_CALLS;
  }
}

void rf_merge_rules(struct rf_report *report, const struct rf_reader *reader, const size_t *targets,
                    size_t count) {
  const rf_ref *root = rf_reader_header(reader)->root;
  if (!root[RF_TABLE_VIOLATION] && !root[RF_TABLE_KEPT]) return;
  struct source source = {report, reader, rf_mapped_modules_read(report, reader), targets, count};
  read_violations(&source);
  read_kept(&source);
}

static int by_count(const void *left, const void *right) {
  const struct rf_report_violation *a = left, *b = right;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  int functions = strcmp(a->function, b->function);
  return functions ? functions : strcmp(a->parameter, b->parameter);
}

void rf_merge_rules_end(struct rf_report *report) {
  if (report->violations) qsort(report->violation, report->violations, sizeof *report->violation, by_count);
}
