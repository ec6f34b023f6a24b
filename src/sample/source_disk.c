/*
 * Disk: /proc/self/io, in which the kernel sums all threads, ended ones too. What the sampler itself reads
 * and writes (the recording's file, /proc) stands in /proc/thread-self/io and is taken out.
 */
#include <errno.h>

#include "sample/reading.h"

static const char *const keys[] = {
    "rchar: ", "wchar: ", "syscr: ", "syscw: ", "read_bytes: ", "write_bytes: "};
enum { CHARS_READ, CHARS_WRITTEN, READS, WRITES, BYTES_READ, BYTES_WRITTEN, FIELDS };

static struct rf_counter counter[FIELDS];

static void forget_disk(void) {
  for (int i = 0; i < FIELDS; i++) counter[i] = (struct rf_counter){0};
}

static long parse(struct rf_scan text, uint64_t *field) {
  for (int i = 0; i < FIELDS; i++)
    if (!rf_scan_key(text, keys[i], &field[i])) return -EBADMSG;
  return 0;
}

/* The sampler's own use, this very reading of the file included. */
static void own_use(struct rf_reading *r) {
  struct rf_scan text;
  uint64_t field[FIELDS];
  if (!r->own_thread || rf_reading_often(r, r->proc_root, "/thread-self/io", false, &text) < 0) return;
  if (parse(text, field) < 0) return;
  r->mine.read_chars = field[CHARS_READ] + (uint64_t)(text.end - text.at);
  r->mine.write_chars = field[CHARS_WRITTEN];
  r->mine.read_calls = field[READS] + 1;
  r->mine.write_calls = field[WRITES];
  r->mine.read_bytes = field[BYTES_READ];
  r->mine.write_bytes = field[BYTES_WRITTEN];
}

static void publish(struct rf_reading *r, const uint64_t *field, const uint64_t *own) {
  struct rf_system_entry *t = r->totals;
  uint64_t *const totals[] = {&t->read_chars,  &t->write_chars, &t->read_calls,
                              &t->write_calls, &t->read_bytes,  &t->write_bytes};
  for (int i = 0; i < FIELDS; i++) {
    double rate = rf_counter_rate(&counter[i], rf_less(field[i], own[i]), r->now_ns);
    rf_reading_total(r, totals[i], rf_counter_total(&counter[i], r->whole_life));
    if (i == BYTES_READ) rf_reading_set(r, RF_METRIC_READ, rate);
    if (i == BYTES_WRITTEN) rf_reading_set(r, RF_METRIC_WRITE, rate);
  }
}

static void read_disk(struct rf_reading *r) {
  struct rf_scan text;
  uint64_t field[FIELDS];
  own_use(r);
  long error = rf_reading_often(r, r->proc_root, "/self/io", false, &text);
  if (error == 0) error = parse(text, field);
  if (error < 0) {
    rf_reading_failed(r, RF_ABSENT_DISK, "/proc/self/io", error);
    return;
  }
  const struct rf_own *a = &r->past, *b = &r->mine;
  const uint64_t own[] = {a->read_chars + b->read_chars, a->write_chars + b->write_chars,
                          a->read_calls + b->read_calls, a->write_calls + b->write_calls,
                          a->read_bytes + b->read_bytes, a->write_bytes + b->write_bytes};
  publish(r, field, own);
}

static bool open_disk(struct rf_reading *r) {
  read_disk(r);
  return true;
}

const struct rf_source rf_source_disk = {
    .name = "system.disk", .open = open_disk, .read = read_disk, .forget = forget_disk};
