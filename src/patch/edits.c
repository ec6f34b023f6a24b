/* See edits.h. */
#include "patch/edits.h"

#include <string.h>

#include "base/memory.h"

static struct rf_edit *edits;
static size_t edit_count, edit_capacity;
static struct rf_change_edit *exported;

bool rf_edits_reserve(size_t more) {
  if (edit_count + more <= edit_capacity) return true;
  size_t capacity = edit_capacity ? edit_capacity * 2 : 256;
  while (capacity < edit_count + more) capacity *= 2;
  struct rf_edit *grown = rf_realloc(edits, capacity * sizeof *grown);
  if (!grown) return false;
  edits = grown;
  edit_capacity = capacity;
  return true;
}

struct rf_edit *rf_edit_add(uintptr_t address, const uint8_t *bytes, size_t count, uintptr_t stub,
                            uint32_t id) {
  struct rf_edit *edit = &edits[edit_count++];
  *edit = (struct rf_edit){.address = address, .stub = stub, .id = id, .count = (uint8_t)count};
  memcpy(edit->bytes, bytes, count);
  memcpy(edit->original, (const void *)address, count);
  return edit;
}

struct rf_edit *rf_edit_add_jump(uintptr_t address, uintptr_t target, uintptr_t stub, uint32_t id) {
  uint8_t bytes[RF_JUMP_BYTES];
  rf_jump_encode(address, target, bytes);
  return rf_edit_add(address, bytes, sizeof bytes, stub, id);
}

void rf_edits_quieten(size_t count) {
  for (size_t i = count; i < edit_count; i++) edits[i].quiet = true;
}

void rf_edit_add_again(const struct rf_edit *edit) { edits[edit_count++] = *edit; }

size_t rf_edits_count(void) { return edit_count; }

const struct rf_edit *rf_edits(void) { return edits; }

void rf_edits_drop(size_t count) { edit_count = count; }

const struct rf_change_edit *rf_edits_export(size_t *count) {
  rf_free(exported);
  exported = rf_calloc(edit_count ? edit_count : 1, sizeof *exported);
  *count = exported ? edit_count : 0;
  for (size_t i = 0; i < *count; i++) {
    struct rf_change_edit *edit = &exported[i];
    edit->address = edits[i].address;
    edit->count = edits[i].count;
    memcpy(edit->before, edits[i].original, sizeof edit->before);
    memcpy(edit->after, edits[i].bytes, sizeof edit->after);
    for (size_t k = 0; k < RF_CHANGE_JUMP; k++) edit->moved[k] = edits[i].moved[k];
  }
  edit_count = 0;
  return exported;
}
