#include "recording_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIXTURE_BYTES ((size_t)256 << 20)

static rf_ref take(struct fixture *f, size_t bytes) {
  f->used = (f->used + 15) & ~15ull;
  rf_ref ref = (rf_ref)f->used;
  f->used += bytes;
  if (f->used > FIXTURE_BYTES) abort();
  f->header->used_bytes = f->used;
  f->header->reserved_bytes = f->used;
  return ref;
}

struct fixture fixture_new(void) {
  struct fixture f = {.bytes = calloc(1, FIXTURE_BYTES), .used = RF_HEADER_BYTES};
  if (!f.bytes) abort();
  f.header = (struct rf_header *)f.bytes;
  memcpy(f.header->magic, RF_MAGIC, 8);
  f.header->version_major = RF_VERSION_MAJOR;
  f.header->version_minor = RF_VERSION_MINOR;
  f.header->header_bytes = RF_HEADER_BYTES;
  f.header->state = RF_STATE_FINISHED;
  f.header->exit_kind = RF_EXIT_EXITED;
  f.header->pid = f.header->root_pid = 4242;
  f.header->ppid = 1;
  f.header->is_root = 1;
  strcpy(f.header->boot_id, "6f1c0a5e-0000-4000-8000-000000000001");
  f.header->start_realtime_ns = 1764135930123000000;
  f.header->start_monotonic_ns = 1000000000000;
  f.header->end_monotonic_ns = f.header->last_write_monotonic_ns = 1010000000000;
  f.header->cycles_per_second = 1e9;
  f.header->threads_max = 1;
  f.header->reserved_bytes = f.header->used_bytes = f.used;
  return f;
}

void fixture_free(struct fixture *f) { free(f->bytes); }

rf_ref fixture_string(struct fixture *f, const char *text) {
  size_t length = strlen(text);
  rf_ref ref = take(f, sizeof(struct rf_string) + length + 1);
  struct rf_string *string = (struct rf_string *)(f->bytes + ref);
  string->length = (uint32_t)length;
  memcpy(string->bytes, text, length + 1);
  return ref;
}

void *fixture_append(struct fixture *f, rf_ref *root, enum rf_table kind, const void *entry,
                     uint32_t entry_bytes) {
  rf_ref ref = take(f, sizeof(struct rf_chunk) + entry_bytes);
  struct rf_chunk *chunk = (struct rf_chunk *)(f->bytes + ref);
  *chunk = (struct rf_chunk){.kind = kind, .entry_bytes = entry_bytes, .capacity = 1, .count = 1};
  memcpy(chunk + 1, entry, entry_bytes);
  if (!*root) {
    *root = ref;
    ((struct rf_chunk *)(f->bytes + ref))->last = ref;
    return chunk + 1;
  }
  struct rf_chunk *first = (struct rf_chunk *)(f->bytes + *root);
  ((struct rf_chunk *)(f->bytes + first->last))->next = ref;
  first->last = ref;
  return chunk + 1;
}

static void append_root(struct fixture *f, enum rf_table kind, const void *entry, uint32_t entry_bytes) {
  fixture_append(f, &f->header->root[kind], kind, entry, entry_bytes);
}

void fixture_fact(struct fixture *f, const char *key, const char *value) {
  struct rf_fact_entry entry = {fixture_string(f, key), fixture_string(f, value)};
  append_root(f, RF_TABLE_FACT, &entry, sizeof entry);
}

void fixture_option(struct fixture *f, const char *key, const char *value, const char *origin) {
  struct rf_option_entry entry = {fixture_string(f, key), fixture_string(f, value),
                                  fixture_string(f, origin)};
  append_root(f, RF_TABLE_OPTION, &entry, sizeof entry);
}

void fixture_skipped(struct fixture *f, const char *name, const char *module, const char *reason) {
  struct rf_skipped_entry entry = {fixture_string(f, name), fixture_string(f, module),
                                   fixture_string(f, reason)};
  append_root(f, RF_TABLE_SKIPPED, &entry, sizeof entry);
}

void fixture_unmatched(struct fixture *f, const char *pattern, const char *reason, const char *nearest) {
  struct rf_unmatched_entry entry = {fixture_string(f, pattern), fixture_string(f, reason),
                                     fixture_string(f, nearest)};
  append_root(f, RF_TABLE_UNMATCHED, &entry, sizeof entry);
}

uint32_t fixture_function(struct fixture *f, const char *name, const char *module, uint64_t offset,
                          uint32_t flags) {
  struct rf_function_entry entry = {.name = fixture_string(f, name),
                                    .module = fixture_string(f, module),
                                    .module_offset = offset,
                                    .flags = flags,
                                    .build_id_bytes = 20};
  strncpy((char *)entry.build_id, module, sizeof entry.build_id - 1);
  uint32_t id = 0;
  for (rf_ref at = f->header->root[RF_TABLE_FUNCTION]; at; at = ((struct rf_chunk *)(f->bytes + at))->next)
    id++;
  append_root(f, RF_TABLE_FUNCTION, &entry, sizeof entry);
  return id;
}

struct rf_thread_entry *fixture_thread(struct fixture *f) {
  struct rf_thread_entry entry = {.tid = 1, .generation = 1};
  return fixture_append(f, &f->header->root[RF_TABLE_THREAD], RF_TABLE_THREAD, &entry, sizeof entry);
}

struct rf_slot *fixture_slot(struct fixture *f, struct rf_thread_entry *thread, uint32_t function) {
  struct rf_slot slot = {.function = function, .threads = 1, .min = UINT64_MAX};
  return fixture_append(f, &thread->slots, RF_TABLE_SLOT, &slot, sizeof slot);
}

void fixture_call(struct fixture *f, struct rf_slot *slot, uint64_t cycles) {
  struct rf_bucket bucket = rf_bucket_of(cycles);
  if (!slot->octave[bucket.octave]) slot->octave[bucket.octave] = take(f, RF_SUBBUCKETS * sizeof(uint64_t));
  ((uint64_t *)(f->bytes + slot->octave[bucket.octave]))[bucket.index]++;
  unsigned __int128 squares = (unsigned __int128)slot->square_high << 64 | slot->square_low;
  squares += (unsigned __int128)cycles * cycles;
  slot->square_low = (uint64_t)squares;
  slot->square_high = (uint64_t)(squares >> 64);
  slot->entered++;
  slot->durations++;
  slot->weights++;
  slot->weight_squares++;
  slot->sum += cycles;
  slot->sum_outer += cycles;
  slot->sum_self += cycles;
  slot->min = cycles < slot->min ? cycles : slot->min;
  slot->max = cycles > slot->max ? cycles : slot->max;
}

void fixture_write(const struct fixture *f, const char *path, uint64_t length) {
  FILE *file = fopen(path, "we");
  if (!file || fwrite(f->bytes, 1, length ? length : f->used, file) != (length ? length : f->used) ||
      fclose(file))
    abort();
}
