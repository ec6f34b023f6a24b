/* See modules.h. A module that went is forgotten, so that one that comes to its addresses later, or itself
 * again, is told anew. */
#include "heap/modules.h"

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "elf/module.h"
#include "recording/writer.h"

struct mapped {
  struct mapped *next;
  uintptr_t load_address, start, end;
  uint32_t build_id_bytes, look;
  uint8_t build_id[20];
  char path[];
};

static struct mapped *first;
static uint32_t look;

static void record(const struct mapped *m) {
  rf_ref *root = rf_recording_root(RF_TABLE_MODULE);
  struct rf_module_entry *entry = rf_table_append(root, RF_TABLE_MODULE, sizeof *entry, 16);
  if (!entry) return;
  entry->path = rf_recording_text(m->path);
  entry->build_id_bytes = m->build_id_bytes;
  memcpy(entry->build_id, m->build_id, sizeof entry->build_id);
  entry->start = m->start;
  entry->end = m->end;
  entry->load_address = m->load_address;
  rf_table_publish(*root);
}

void rf_heap_modules_begin(void) { look++; }

void rf_heap_modules_seen(const struct rf_module *module) {
  for (struct mapped *m = first; m; m = m->next)
    if (m->load_address == module->load_address && !strcmp(m->path, module->path)) {
      m->look = look;
      return;
    }
  size_t length = strlen(module->path) + 1;
  struct mapped *m = rf_calloc(1, sizeof *m + length);
  if (!m) return;
  *m = (struct mapped){
      first, module->load_address, module->text_start, module->text_end, module->build_id_bytes, look, {0}};
  memcpy(m->build_id, module->build_id, sizeof m->build_id);
  memcpy(m->path, module->path, length);
  first = m;
  record(m);
}

void rf_heap_modules_end(void) {
  for (struct mapped **place = &first; *place;) {
    struct mapped *m = *place;
    if (m->look == look) {
      place = &m->next;
      continue;
    }
    *place = m->next;
    rf_free(m);
  }
}

void rf_heap_modules_again(void) {
  for (const struct mapped *m = first; m; m = m->next) record(m);
}
