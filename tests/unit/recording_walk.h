/* Touches everything that a recording's reader hands out: for tests with damaged files and for the fuzzer. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "recording/reader.h"

/* Bytes that were read, so that nothing is optimised away. */
static volatile unsigned walk_sink;

static void walk_bytes(const void *bytes, size_t length) {
  unsigned sum = 0;
  for (size_t i = 0; i < length; i++) sum += ((const unsigned char *)bytes)[i];
  walk_sink += sum;
}

static void walk_text(const struct rf_reader *reader, rf_ref ref) {
  const char *text = rf_reader_string(reader, ref);
  walk_bytes(text, strlen(text) + 1);
}

static size_t walk_slots(const struct rf_reader *reader, rf_ref root) {
  struct rf_cursor cursor = rf_cursor_at(reader, root, RF_TABLE_SLOT);
  struct rf_slot slot;
  size_t count = 0;
  for (; rf_cursor_next(&cursor, &slot, sizeof slot); count++)
    for (size_t i = 0; i < RF_OCTAVES; i++) {
      const uint64_t *words = rf_reader_words(reader, slot.octave[i], RF_SUBBUCKETS);
      if (words) walk_bytes(words, RF_SUBBUCKETS * sizeof *words);
    }
  return count;
}

static void walk_stack(const struct rf_reader *reader, rf_ref ref) {
  while (ref > RF_STACK_CUT) {
    const uint64_t *words = rf_reader_words(reader, ref, sizeof(struct rf_stack_node) / sizeof *words);
    if (!words) return;
    walk_bytes(words, sizeof(struct rf_stack_node));
    rf_ref parent = ((const struct rf_stack_node *)(const void *)words)->parent;
    if (parent >= ref) return;
    ref = parent;
  }
}

/* Which leading 32-bit words of an entry are references to texts, by kind. */
static unsigned text_references(unsigned kind) {
  switch (kind) {
  case RF_TABLE_FUNCTION: return 5;
  case RF_TABLE_OPTION:
  case RF_TABLE_SKIPPED:
  case RF_TABLE_UNMATCHED: return 3;
  case RF_TABLE_FACT:
  case RF_TABLE_UNAVAILABLE:
  case RF_TABLE_GPU: return 2;
  case RF_TABLE_MODULE: return 1;
  default: return 0;
  }
}

static size_t walk_table(const struct rf_reader *reader, rf_ref root, unsigned kind) {
  union {
    uint32_t reference[16];
    struct rf_thread_entry thread;
    struct rf_system_entry system;
    struct rf_site_entry site;
    struct rf_sample_entry sample;
    char bytes[8192];
  } entry;
  struct rf_cursor cursor = rf_cursor_at(reader, root, kind);
  size_t count = 0;
  for (; rf_cursor_next(&cursor, &entry, sizeof entry); count++) {
    walk_bytes(&entry, 64); /* the copy into it was what could go wrong */
    for (unsigned i = 0; i < text_references(kind); i++) walk_text(reader, entry.reference[i]);
    if (kind == RF_TABLE_THREAD) count += walk_slots(reader, entry.thread.slots);
    if (kind == RF_TABLE_SYSTEM) count += walk_table(reader, entry.system.current_timeline, RF_TABLE_SAMPLE);
    if (kind == RF_TABLE_SITE) walk_stack(reader, entry.site.stack);
  }
  return count;
}

/* How many entries were found. */
static inline size_t walk_recording(const struct rf_reader *reader) {
  const struct rf_header *header = rf_reader_header(reader);
  size_t count = 0;
  walk_bytes(header, sizeof *header);
  walk_bytes(header->output_path, strlen(header->output_path));
  walk_bytes(header->live_path, strlen(header->live_path));
  for (unsigned kind = 1; kind < RF_TABLE_COUNT; kind++)
    count += walk_table(reader, header->root[kind], kind);
  return count;
}
