/*
 * See pprof.h. The protocol buffer is written by hand: a field is its number and wire type as a varint, then
 * a varint or a length and bytes. Messages that others refer to (locations, functions, strings) are numbered
 * as they are met.
 */
#include "report/pprof.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "report/symbolize.h"

enum {
  SAMPLE_TYPE = 1,
  SAMPLE = 2,
  MAPPING = 3,
  LOCATION = 4,
  FUNCTION = 5,
  STRING_TABLE = 6,
  DURATION = 10,
  DEFAULT_TYPE = 14
};

/* --- wire format --- */

static void put_varint(struct rf_buffer *out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) rf_buffer_char(out, (char)(value | 0x80));
  rf_buffer_char(out, (char)value);
}

static void put_number(struct rf_buffer *out, unsigned field, uint64_t value) {
  if (!value) return;
  put_varint(out, field << 3);
  put_varint(out, value);
}

static void put_bytes(struct rf_buffer *out, unsigned field, const char *bytes, size_t length) {
  put_varint(out, field << 3 | 2);
  put_varint(out, length);
  rf_buffer_add(out, bytes, length);
}

static void put_message(struct rf_buffer *out, unsigned field, struct rf_buffer *message) {
  put_bytes(out, field, message->bytes ? message->bytes : "", message->length);
  rf_buffer_free(message);
}

/* --- numbering --- */

/* Texts in the order in which they were first met; number 0 is "". */
struct strings {
  const char **list;
  size_t count;
  uint32_t *slot;
  size_t slots;
};

struct profile {
  struct rf_report *report;
  struct rf_buffer out, locations, functions;
  struct strings strings, names; /* names: functions by name and file */
  struct strings places;         /* locations by module and address, as text */
};

static uint64_t hash_text(const char *text) {
  uint64_t hash = 0xcbf29ce484222325u;
  while (*text) hash = (hash ^ (unsigned char)*text++) * 0x100000001b3u;
  return hash ^ hash >> 32;
}

static size_t slot_of(const struct strings *strings, const char *text) {
  size_t i = hash_text(text) % strings->slots;
  while (strings->slot[i] && strcmp(strings->list[strings->slot[i] - 1], text) != 0)
    i = (i + 1) % strings->slots;
  return i;
}

static void grow(struct rf_arena *arena, struct strings *strings) {
  if (2 * strings->count < strings->slots) return;
  strings->slots = strings->slots ? 2 * strings->slots : 1024;
  strings->slot = rf_arena_alloc(arena, strings->slots * sizeof *strings->slot);
  for (size_t i = 0; i < strings->count; i++)
    strings->slot[slot_of(strings, strings->list[i])] = (uint32_t)i + 1;
}

/* The text's number, and whether it is new. */
static size_t number_of(struct rf_arena *arena, struct strings *strings, const char *text, bool *fresh) {
  grow(arena, strings);
  size_t slot = slot_of(strings, text);
  *fresh = !strings->slot[slot];
  if (*fresh) {
    const char **place = rf_arena_push(arena, &strings->list, strings->count++, sizeof *place);
    *place = rf_arena_text(arena, text);
    strings->slot[slot] = (uint32_t)strings->count;
  }
  return strings->slot[slot] - 1;
}

static uint64_t string(struct profile *profile, const char *text) {
  bool fresh;
  return number_of(profile->report->arena, &profile->strings, text, &fresh);
}

/* --- messages --- */

static uint64_t function_id(struct profile *profile, const struct rf_report_symbol *symbol) {
  bool fresh;
  char *key = rf_arena_printf(profile->report->arena, "%s\n%s", symbol->function, symbol->file);
  uint64_t id = number_of(profile->report->arena, &profile->names, key, &fresh) + 1;
  if (!fresh) return id;
  struct rf_buffer message = {0};
  put_number(&message, 1, id);
  put_number(&message, 2, string(profile, symbol->function));
  put_number(&message, 4, string(profile, symbol->file));
  put_message(&profile->functions, FUNCTION, &message);
  return id;
}

static uint64_t location_id(struct profile *profile, const struct rf_report_frame *frame) {
  bool fresh;
  char *key =
      rf_arena_printf(profile->report->arena, "%x:%llx", frame->module, (unsigned long long)frame->address);
  uint64_t id = number_of(profile->report->arena, &profile->places, key, &fresh) + 1;
  if (!fresh) return id;
  size_t count;
  const struct rf_report_symbol *symbol = rf_symbols_of(profile->report, frame, &count);
  struct rf_buffer message = {0};
  put_number(&message, 1, id);
  put_number(&message, 2, frame->module == RF_NO_MODULE ? 0 : frame->module + 1);
  put_number(&message, 3, frame->address);
  for (size_t i = 0; i < count; i++) {
    struct rf_buffer line = {0};
    put_number(&line, 1, function_id(profile, &symbol[i]));
    put_number(&line, 2, symbol[i].line);
    put_message(&message, 4, &line);
  }
  put_message(&profile->locations, LOCATION, &message);
  return id;
}

static const struct {
  const char *type, *unit;
} types[] = {{"alloc_objects", "count"},
             {"alloc_space", "bytes"},
             {"inuse_objects", "count"},
             {"inuse_space", "bytes"},
             {"peak_space", "bytes"}};

static void put_types(struct profile *profile) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    struct rf_buffer message = {0};
    put_number(&message, 1, string(profile, types[i].type));
    put_number(&message, 2, string(profile, types[i].unit));
    put_message(&profile->out, SAMPLE_TYPE, &message);
  }
}

static void put_sample(struct profile *profile, const struct rf_report_site *site) {
  const double values[] = {site->alloc_calls, site->alloc_bytes, site->live_blocks, site->live_bytes,
                           site->at_peak_bytes};
  struct rf_buffer message = {0}, packed = {0};
  for (size_t i = 0; i < site->depth; i++) put_varint(&packed, location_id(profile, &site->frame[i]));
  put_message(&message, 1, &packed);
  for (size_t i = 0; i < sizeof values / sizeof *values; i++)
    put_varint(&packed, values[i] > 0 ? (uint64_t)llround(values[i]) : 0);
  put_message(&message, 2, &packed);
  put_message(&profile->out, SAMPLE, &message);
}

static void put_mapping(struct profile *profile, size_t index) {
  const struct rf_report_module *module = &profile->report->heap.module[index];
  char id[41] = "";
  for (uint32_t i = 0; i < module->build_id_bytes; i++) snprintf(id + 2 * i, 3, "%02x", module->build_id[i]);
  struct rf_buffer message = {0};
  put_number(&message, 1, index + 1);
  put_number(&message, 5, string(profile, module->path));
  put_number(&message, 6, string(profile, id));
  for (unsigned flag = 7; flag <= 10; flag++)
    put_number(&message, flag, 1); /* names, files, lines, inlined frames are here */
  put_message(&profile->out, MAPPING, &message);
}

/* --- the whole --- */

static void compress_into(struct rf_buffer *out, const struct rf_buffer *plain) {
  z_stream stream = {.next_in = (unsigned char *)plain->bytes, .avail_in = (unsigned)plain->length};
  unsigned char block[16384];
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16 /* gzip */, 8, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    return;
  int state;
  do {
    stream.next_out = block;
    stream.avail_out = sizeof block;
    state = deflate(&stream, Z_FINISH);
    rf_buffer_add(out, (const char *)block, sizeof block - stream.avail_out);
  } while (state == Z_OK);
  deflateEnd(&stream);
}

void rf_pprof_report(struct rf_buffer *out, struct rf_report *report) {
  struct profile profile = {.report = report};
  string(&profile, "");
  put_types(&profile);
  for (size_t i = 0; i < report->heap.sites; i++)
    if (!report->heap.site[i].others) put_sample(&profile, &report->heap.site[i]);
  for (size_t i = 0; i < report->heap.modules; i++) put_mapping(&profile, i);
  rf_buffer_add(&profile.out, profile.locations.bytes, profile.locations.length);
  rf_buffer_add(&profile.out, profile.functions.bytes, profile.functions.length);
  double duration = report->process[0].duration_s;
  if (duration > 0) put_number(&profile.out, DURATION, (uint64_t)(duration * 1e9));
  put_number(&profile.out, DEFAULT_TYPE, string(&profile, "inuse_space"));
  for (size_t i = 0; i < profile.strings.count; i++)
    put_bytes(&profile.out, STRING_TABLE, profile.strings.list[i], strlen(profile.strings.list[i]));
  compress_into(out, &profile.out);
  rf_buffer_free(&profile.out);
  rf_buffer_free(&profile.locations);
  rf_buffer_free(&profile.functions);
}
